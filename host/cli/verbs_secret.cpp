// The vault: through the host when one runs, else under the home's lock, leaving a record in the
// ledger all the same.
#include "base/text.hpp"
#include "cli/open_home.hpp"
#include "vault/ask.hpp"

#include <cstdio>

namespace parley {

int verb_secret_set(Context const& context, std::string const& text) {
    auto name = parse_secret_name(text);
    if (!name) return fail(name.error());
    if (context.host_answers()) {
        auto value = ask_secret(("value of " + text).c_str());
        if (!value) return fail(value.error());
        JsonWriter body;
        body.begin('{').pair("value", value->reveal()).end('}');
        auto sent = body.take();
        auto done =
            context.ask_text("PUT", "/api/v1/secrets/" + name->scope + '/' + name->key, sent);
        wipe(sent);
        if (!done) return fail(done.error());
    } else {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        auto value = ask_secret(("value of " + text).c_str());
        if (!value) return fail(value.error());
        auto set =
            (*home)->vault->set(name->scope, name->key, std::move(*value), (*home)->clock.now_us());
        if (!set) return fail(set.error());
        if (auto noted = (*home)->record("secret.set", one("secret", text)); !noted)
            return fail(noted.error());
    }
    return say(context, one("secret", text), "set " + text);
}

int verb_secret_list(Context const& context) {
    if (context.host_answers())
        return verb_list(context, "/secrets?limit=1000", {"name", "version", "set"});
    auto vault =
        Vault::open(context.home / "vault/secrets.vault", {vault_key_path(), ask_passphrase});
    if (!vault) return fail(vault.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto const& secret : (*vault)->list())
        out.begin('{')
            .pair("name", secret.scope + '/' + secret.key)
            .pair("version", static_cast<std::int64_t>(secret.version))
            .pair("set", iso_time(secret.set_us))
            .end('}');
    out.end(']').key("next").null().end('}');
    if (print_json(context, out.text())) return 0;
    print_table(*parse_json(out.text()), {"name", "version", "set"});
    return 0;
}

int verb_secret_remove(Context const& context, std::string const& text) {
    auto name = parse_secret_name(text);
    if (!name) return fail(name.error());
    if (context.host_answers()) {
        auto done = context.ask_text("DELETE", "/api/v1/secrets/" + name->scope + '/' + name->key);
        if (!done) return fail(done.error());
    } else {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        if (auto removed = (*home)->vault->remove(name->scope, name->key); !removed)
            return fail(removed.error());
        if (auto noted = (*home)->record("secret.removed", one("secret", text)); !noted)
            return fail(noted.error());
    }
    return say(context, one("secret", text), "removed " + text);
}

int verb_secret_rekey(Context const& context, std::string const& key_file, bool with_passphrase) {
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    auto key = new_key(key_file, with_passphrase);
    if (!key) return fail(key.error());
    if (auto done = (*home)->vault->rekey(*key); !done) return fail(done.error());
    if (auto noted = (*home)->record("secret.set", R"({"secret":"the key of the vault"})"); !noted)
        return fail(noted.error());
    if (with_passphrase)
        return say(context, R"({"passphrase":true})",
                   "the vault opens with that passphrase alone now");
    return say(context, one("key_file", key_file),
               "the vault opens with " + key_file +
                   " now; set PARLEY_VAULT_KEY_FILE, and keep a copy elsewhere");
}

}  // namespace parley
