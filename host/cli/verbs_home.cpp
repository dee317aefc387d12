// Verbs that read or write the home: through the host when one runs, else under the home's lock,
// leaving a record in the ledger all the same.
#include "base/clock.hpp"
#include "base/loop.hpp"
#include "base/text.hpp"
#include "cli/context.hpp"
#include "config/config.hpp"
#include "ledger/ledger.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/lock.hpp"
#include "vault/ask.hpp"
#include "vault/vault.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

namespace parley {

namespace {

constexpr char cli_actor[] = R"({"type":"cli"})";

// The home in our own hands: locked, vault open, ledger open.
struct OpenHome {
    std::unique_ptr<HomeLock> lock;
    std::unique_ptr<Vault> vault;
    SystemClock clock;
    Loop loop;
    std::unique_ptr<Ledger> ledger;

    static Result<std::unique_ptr<OpenHome>> take(std::filesystem::path const& path, bool accept_loss = false) {
        MUST(check_home(path));
        auto home = std::make_unique<OpenHome>();
        TRY(lock, HomeLock::take(path));
        home->lock = std::make_unique<HomeLock>(std::move(lock));
        TRY(vault, Vault::open(path / "vault/secrets.vault", {vault_key_path(), ask_passphrase}));
        home->vault = std::move(vault);
        Ledger::Options options;
        options.folder = path / "ledger";
        options.accept_loss = accept_loss;
        auto* raw = home->vault.get();
        options.signer = {raw->id(), raw->ledger_public_key(), [raw](std::string_view bytes) { return raw->sign_for_ledger(bytes); }};
        TRY(ledger, Ledger::open(std::move(options), home->loop, home->clock));
        home->ledger = std::move(ledger);
        return home;
    }

    // Returns when it is durable.
    Result<> record(char const* kind, std::string body) {
        Draft draft;
        draft.kind = kind;
        draft.actor = cli_actor;
        draft.body = std::move(body);
        bool durable = false;
        std::string failure;
        ledger->on_failure([&](Error error) { failure = error.what; });
        auto batch = ledger->begin();
        batch.record(std::move(draft));
        ledger->commit(std::move(batch), [&] { durable = true; });
        while (!durable && failure.empty()) loop.run_for(std::chrono::milliseconds(50));
        return durable ? ok() : Result<>(Error(Fault::internal, failure));
    }
};

std::string one(char const* key, std::string const& value) {
    JsonWriter out;
    return out.begin('{').pair(key, value).end('}').take();
}

int say(Context const& context, std::string const& json, std::string const& words) {
    if (!print_json(context, json)) std::printf("%s\n", words.c_str());
    return 0;
}

}  // namespace

namespace {

// The passphrase is asked for at once, so that a mistake in it changes nothing.
Result<VaultKey> new_key(std::filesystem::path file, bool with_passphrase) {
    if (!with_passphrase) return VaultKey(std::move(file));
    TRY(passphrase, ask_new_passphrase());
    auto kept = std::make_shared<Secret>(std::move(passphrase));
    return VaultKey(std::move(file), [kept] { return Secret::from(kept->reveal()); });
}

}  // namespace

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
    for (auto const& [scope, token] : {std::pair(Scope::admin, admin), std::pair(Scope::read, read)})
        if (auto set = tokens->rotate(scope, sha256_hex(token)); !set) return fail(set.error());
    JsonWriter out;
    out.begin('{').pair("version", 1).pair("home", home.string()).pair("listen", listen);
    out.pair("admin_token", admin).pair("read_token", read).end('}');
    if (context.json) {
        std::printf("%s\n", out.text().c_str());
        return 0;
    }
    auto key_words = with_passphrase ? "the passphrase that you gave; nobody can tell it to you again"
                                     : key.string() + (key_was_there ? " (it was there already)" : "") +
                                           "; keep a copy of it elsewhere";
    std::printf("made a home at %s\nthe vault's key is %s\n\n"
                "admin token  %s\nread token   %s\n(shown this once; make new ones with: parley token rotate admin)\n\n"
                "start the host:  parley run --home %s\nthen talk to it: parley chat assistant --home %s\n",
                home.c_str(), key_words.c_str(), admin.c_str(), read.c_str(), home.c_str(), home.c_str());
    return 0;
}

int verb_secret_set(Context const& context, std::string const& text) {
    auto name = parse_secret_name(text);
    if (!name) return fail(name.error());
    if (context.host_answers()) {
        auto value = ask_secret(("value of " + text).c_str());
        if (!value) return fail(value.error());
        JsonWriter body;
        body.begin('{').pair("value", value->reveal()).end('}');
        auto sent = body.take();
        auto done = context.ask_text("PUT", "/api/v1/secrets/" + name->scope + '/' + name->key, sent);
        wipe(sent);
        if (!done) return fail(done.error());
    } else {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        auto value = ask_secret(("value of " + text).c_str());
        if (!value) return fail(value.error());
        auto set = (*home)->vault->set(name->scope, name->key, std::move(*value), (*home)->clock.now_us());
        if (!set) return fail(set.error());
        if (auto noted = (*home)->record("secret.set", one("secret", text)); !noted) return fail(noted.error());
    }
    return say(context, one("secret", text), "set " + text);
}

int verb_secret_list(Context const& context) {
    if (context.host_answers()) return verb_list(context, "/secrets?limit=1000", {"name", "version", "set"});
    auto vault = Vault::open(context.home / "vault/secrets.vault", {vault_key_path(), ask_passphrase});
    if (!vault) return fail(vault.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto const& secret : (*vault)->list())
        out.begin('{').pair("name", secret.scope + '/' + secret.key).pair("version", static_cast<std::int64_t>(secret.version))
            .pair("set", iso_time(secret.set_us)).end('}');
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
        if (auto removed = (*home)->vault->remove(name->scope, name->key); !removed) return fail(removed.error());
        if (auto noted = (*home)->record("secret.removed", one("secret", text)); !noted) return fail(noted.error());
    }
    return say(context, one("secret", text), "removed " + text);
}

int verb_secret_rekey(Context const& context, std::string const& key_file, bool with_passphrase) {
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    auto key = new_key(key_file, with_passphrase);
    if (!key) return fail(key.error());
    if (auto done = (*home)->vault->rekey(*key); !done) return fail(done.error());
    if (auto noted = (*home)->record("secret.set", R"({"secret":"the key of the vault"})"); !noted) return fail(noted.error());
    if (with_passphrase)
        return say(context, R"({"passphrase":true})", "the vault opens with that passphrase alone now");
    return say(context, one("key_file", key_file),
               "the vault opens with " + key_file + " now; set PARLEY_VAULT_KEY_FILE, and keep a copy elsewhere");
}

int verb_token_list(Context const& context) {
    auto vault = Vault::open(context.home / "vault/secrets.vault", {vault_key_path(), ask_passphrase});
    if (!vault) return fail(vault.error());
    auto tokens = Tokens::load(context.home / "tokens", **vault);
    if (!tokens) return fail(tokens.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto scope : {Scope::admin, Scope::read})
        out.begin('{').pair("scope", scope == Scope::admin ? "admin" : "read").key("exists").boolean(tokens->has(scope))
            .pair("rotations", static_cast<std::int64_t>(tokens->epoch(scope))).end('}');
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
        if (auto set = tokens->rotate(is_admin ? Scope::admin : Scope::read, hash); !set) return fail(set.error());
        if (auto noted = (*home)->record("token.rotated", one("scope", scope)); !noted) return fail(noted.error());
    }
    JsonWriter out;
    out.begin('{').pair("scope", scope).pair("token", token).end('}');
    return say(context, out.take(), token);
}

namespace {

int print_verdict(Context const& context, Verdict const& verdict) {
    auto const* word = name_of(verdict.kind);
    if (!print_json(context, to_json(verdict))) {
        if (verdict.kind == Verdict::Kind::sound) std::printf("sound: %llu records\n", static_cast<unsigned long long>(verdict.checked));
        else if (verdict.first_bad) std::printf("%s at record %llu: %s\n", word, static_cast<unsigned long long>(verdict.first_bad), verdict.detail.c_str());
        else std::printf("%s: %s\n", word, verdict.detail.c_str());
    }
    if (verdict.kind == Verdict::Kind::sound) return 0;
    return verdict.kind == Verdict::Kind::shorter ? 3 : 1;
}

// The last line counts: that is how the host appends checkpoints.
std::string last_line(std::string const& file) {
    std::ifstream in(file);
    std::string line, last;
    while (std::getline(in, line))
        if (!line.empty()) last = line;
    return last;
}

}  // namespace

int verb_ledger_verify(Context const& context, std::string const& file, std::string const& against,
                       std::string const& key_file) {
    std::optional<Checkpoint> checkpoint;
    if (!against.empty()) {
        auto parsed = parse_checkpoint(last_line(against));
        if (!parsed) return fail(against + " holds no checkpoint");
        checkpoint = std::move(*parsed);
    }
    auto key = key_file.empty() ? std::string() : last_line(key_file);
    if (auto bytes = from_hex(key); !key_file.empty() && (!bytes || bytes->size() != 32))
        return fail(key_file + " holds no public key of 64 hex digits");
    if (!file.empty()) return print_verdict(context, verify_export(file, checkpoint, key));
    if (!key.empty()) return fail("--key is for exports; the home has its own key");
    if (context.host_answers()) {
        auto query = checkpoint ? "?against=" + percent_encoded(to_json(*checkpoint)) : std::string();
        auto text = context.ask_text("GET", "/api/v1/ledger/verify" + query);
        if (!text) return fail(text.error());
        auto value = parse_json(*text);
        if (!value) return fail(value.error());
        Verdict verdict;
        for (auto kind : {Verdict::Kind::tampered, Verdict::Kind::shorter, Verdict::Kind::unreadable})
            if (text_at(*value, "verdict") == name_of(kind)) verdict.kind = kind;
        verdict.checked = static_cast<Seq>(int_at(*value, "checked"));
        verdict.first_bad = static_cast<Seq>(int_at(*value, "first_bad"));
        verdict.detail = text_at(*value, "detail");
        return print_verdict(context, verdict);
    }
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    return print_verdict(context, verify(*(*home)->ledger, checkpoint));
}

int verb_ledger_export(Context const& context, std::string const& from, std::string const& to) {
    if (context.host_answers()) {
        auto path = "/api/v1/ledger/export?from=" + (from.empty() ? "1" : from) + (to.empty() ? "" : "&to=" + to);
        auto done = local_stream(context.target(), path, [](std::string_view bytes) {
            return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
        });
        return done ? 0 : fail(done.error());
    }
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    auto& ledger = *(*home)->ledger;
    auto first = from.empty() ? 1 : std::strtoull(from.c_str(), nullptr, 10);
    auto last = to.empty() ? ledger.durable_head() : std::strtoull(to.c_str(), nullptr, 10);
    export_lines(ledger, first, last, [](std::string_view line) { return std::printf("%.*s\n", static_cast<int>(line.size()), line.data()) > 0; });
    return 0;
}

int verb_ledger_show(Context const& context, std::string const& seq) {
    if (context.host_answers()) return verb_show(context, "/ledger/" + percent_encoded(seq));
    auto home = OpenHome::take(context.home);
    if (!home) return fail(home.error());
    auto record = (*home)->ledger->record(std::strtoull(seq.c_str(), nullptr, 10));
    if (!record) return fail("no record " + seq);
    auto text = to_json(*record);
    if (!print_json(context, text)) print_members(*parse_json(text));
    return 0;
}

int verb_accept_loss(Context const& context) {
    auto home = OpenHome::take(context.home, true);
    if (!home) return fail(home.error());
    auto& ledger = *(*home)->ledger;
    if (!ledger.lost_records() && !ledger.get(Table::meta, vault_generation))
        return say(context, R"({"lost":false})", "nothing was lost");
    JsonWriter body;
    body.begin('{').pair("accepted_at", static_cast<std::int64_t>(ledger.head())).end('}');
    // The host reads this mark at its next start: open approvals are void, open intents unknown.
    auto batch = ledger.begin();
    if (ledger.lost_records()) batch.put(Table::meta, loss_accepted, "1");
    batch.erase(Table::meta, vault_generation);
    ledger.commit(std::move(batch));
    if (auto noted = (*home)->record("ledger.loss_accepted", body.take()); !noted) return fail(noted.error());
    return say(context, R"({"lost":true})",
               "the ledger goes on from record " + std::to_string(ledger.head()) + "; open approvals are void");
}

namespace {

Result<Catalogue> scanned(Context const& context) {
    TRY(config, load_config(context.home));
    Catalogue catalogue;
    catalogue.scan(context.programs->plugins, config);
    return catalogue;
}

}  // namespace

int verb_plugin_list(Context const& context) {
    if (context.host_answers()) return verb_list(context, "/plugins", {"id", "version", "state", "reason"});
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    JsonWriter out;
    out.begin('{').key("items").begin('[');
    for (auto const& entry : catalogue->entries()) out.raw(to_json(entry));
    out.end(']').key("next").null().end('}');
    if (!print_json(context, out.text())) print_table(*parse_json(out.text()), {"id", "version", "state", "reason"});
    return 0;
}

int verb_plugin_show(Context const& context, std::string const& id) {
    if (context.host_answers()) return verb_show(context, "/plugins/" + percent_encoded(id));
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    auto const* entry = catalogue->find(PluginId(id));
    if (!entry) return fail("there is no plugin " + id);
    auto text = to_json(*entry);
    if (!print_json(context, text)) print_members(*parse_json(text));
    return 0;
}

// Shows the rights that a third party's file asks for, and asks before they are accepted.
int verb_plugin_lock(Context const& context, std::string const& id, bool yes) {
    auto catalogue = scanned(context);
    if (!catalogue) return fail(catalogue.error());
    auto const* entry = catalogue->find(PluginId(id));
    if (!entry || !entry->file) return fail("there is no readable plugin " + id + (entry ? ": " + entry->reason : ""));
    if (entry->first_party) return say(context, one("plugin", id), id + " is our own and needs no lock");
    auto lock = read_lock(context.home);
    if (!lock) return fail(lock.error());
    auto rights = rights_of(entry->file->manifest());
    auto before = lock->find(PluginId(id));
    if (!context.json) {
        std::printf("%s %s\nfile %s\nhash %s\n", id.c_str(), entry->file->manifest().version.c_str(), entry->path.c_str(), entry->file->hash().c_str());
        for (auto const& right : rights) {
            bool known = before != lock->end() && std::find(before->second.rights.begin(), before->second.rights.end(), right) != before->second.rights.end();
            std::printf("  %c %s\n", before == lock->end() ? ' ' : known ? ' ' : '+', visible(right).c_str());
        }
        if (before != lock->end())
            for (auto const& right : before->second.rights)
                if (std::find(rights.begin(), rights.end(), right) == rights.end()) std::printf("  - %s\n", visible(right).c_str());
    }
    if (!yes) {
        if (!is_terminal(0)) return fail("not accepted: say --yes, or run it in a terminal");
        std::printf("accept? [y/N] ");
        std::fflush(stdout);
        std::string line;
        if (!std::getline(std::cin, line) || (line != "y" && line != "yes")) return fail("not accepted");
    }
    (*lock)[PluginId(id)] = {entry->file->hash(), rights};
    if (auto written = write_lock(context.home, *lock); !written) return fail(written.error());
    JsonWriter body;
    body.begin('{').pair("plugin", id).pair("hash", entry->file->hash()).end('}');
    if (!context.host_answers()) {
        auto home = OpenHome::take(context.home);
        if (!home) return fail(home.error());
        if (auto noted = (*home)->record("plugin.locked", body.text()); !noted) return fail(noted.error());
    }
    return say(context, body.text(), "accepted; a running host takes it up with: parley plugin enable " + id);
}

// What can be said of a file without running any of it.
int verb_plugin_check(Context const& context, std::string const& file) {
    auto read = PluginFile::read(file);
    if (!read) return fail(file + ": " + read.error().what);
    auto const& manifest = (*read)->manifest();
    JsonWriter out;
    out.begin('{').pair("id", manifest.id.text).pair("plugin_version", manifest.version).pair("hash", (*read)->hash());
    out.key("rights").begin('[');
    for (auto const& right : rights_of(manifest)) out.string(right);
    out.end(']').end('}');
    if (print_json(context, out.text())) return 0;
    std::printf("%s %s: the file, its note and its manifest are sound\n", manifest.id.text.c_str(), manifest.version.c_str());
    for (auto const& right : rights_of(manifest)) std::printf("  %s\n", visible(right).c_str());
    return 0;
}

}  // namespace parley
