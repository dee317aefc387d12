// A new home, and its tokens.
#include "base/text.hpp"
#include "cli/open_home.hpp"
#include "vault/ask.hpp"

#include <cstdio>

namespace parley {

int verb_init(Context const& context, std::string const& listen, bool with_passphrase) {
    InitOptions options;
    options.home = std::filesystem::absolute(context.home);
    options.listen = listen;
    auto key = vault_key_path();
    auto vault_key = new_key(key, with_passphrase);
    if (!vault_key) return fail(vault_key.error());
    if (auto made = make_home(options); !made) return fail(made.error());
    std::filesystem::path home = options.home;
    bool key_was_there = std::filesystem::exists(key);
    auto vault = Vault::create(home / "vault/secrets.vault", *vault_key);
    if (!vault) return fail(vault.error());
    auto tokens = Tokens::load(home / "tokens", **vault);
    if (!tokens) return fail(tokens.error());
    auto admin = make_token(Scope::admin), read = make_token(Scope::read);
    for (auto const& [scope, token] :
         {std::pair(Scope::admin, admin), std::pair(Scope::read, read)})
        if (auto set = tokens->rotate(scope, sha256_hex(token)); !set) return fail(set.error());
    JsonWriter out;
    out.begin('{').pair("version", 1).pair("home", home.string()).pair("listen", listen);
    out.pair("admin_token", admin).pair("read_token", read).end('}');
    if (context.json) {
        std::printf("%s\n", out.text().c_str());
        return 0;
    }
    auto key_words = with_passphrase
                         ? "the passphrase that you gave; nobody can tell it to you again"
                         : key.string() + (key_was_there ? " (it was there already)" : "") +
                               "; keep a copy of it elsewhere";
    std::printf(
        "made a home at %s\nthe vault's key is %s\n\n"
        "admin token  %s\nread token   %s\n(shown this once; make new ones with: parley token "
        "rotate admin)\n\n"
        "start the host:  parley run --home %s\nthen talk to it: parley chat assistant --home %s\n",
        home.c_str(), key_words.c_str(), admin.c_str(), read.c_str(), home.c_str(), home.c_str());
    return 0;
}

int verb_token_list(Context const& context) {
    auto vault =
        Vault::open(context.home / "vault/secrets.vault", {vault_key_path(), ask_passphrase});
    if (!vault) return fail(vault.error());
    auto tokens = Tokens::load(context.home / "tokens", **vault);
    if (!tokens) return fail(tokens.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto scope : {Scope::admin, Scope::read})
        out.begin('{')
            .pair("scope", scope == Scope::admin ? "admin" : "read")
            .key("exists")
            .boolean(tokens->has(scope))
            .pair("rotations", static_cast<std::int64_t>(tokens->epoch(scope)))
            .end('}');
    out.end(']').key("next").null().end('}');
    if (print_json(context, out.text())) return 0;
    print_table(*parse_json(out.text()), {"scope", "exists", "rotations"});
    return 0;
}

int verb_token_rotate(Context const& context, std::string const& scope) {
    bool is_admin = scope == "admin";
    auto token = make_token(is_admin ? Scope::admin : Scope::read);
    auto hash = sha256_hex(token);
    if (context.host_answers()) {
        auto done = context.ask_text("PUT", "/api/v1/tokens/" + scope, one("hash", hash));
        if (!done) return fail(done.error());
    } else {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        auto tokens = Tokens::load(context.home / "tokens", *(*home)->vault);
        if (!tokens) return fail(tokens.error());
        if (auto set = tokens->rotate(is_admin ? Scope::admin : Scope::read, hash); !set)
            return fail(set.error());
        if (auto noted = (*home)->record("token.rotated", one("scope", scope)); !noted)
            return fail(noted.error());
    }
    JsonWriter out;
    out.begin('{').pair("scope", scope).pair("token", token).end('}');
    return say(context, out.take(), token);
}

}  // namespace parley
