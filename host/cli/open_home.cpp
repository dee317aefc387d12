#include "cli/open_home.hpp"

#include "base/json.hpp"
#include "vault/ask.hpp"

#include <cstdio>

namespace parley {

namespace {

constexpr char cli_actor[] = R"({"type":"cli"})";

}  // namespace

Result<std::unique_ptr<OpenHome>> OpenHome::take(std::filesystem::path const& path,
                                                 bool accept_loss) {
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
    options.signer = {raw->id(), raw->ledger_public_key(),
                      [raw](std::string_view bytes) { return raw->sign_for_ledger(bytes); }};
    TRY(ledger, Ledger::open(std::move(options), home->loop, home->clock));
    home->ledger = std::move(ledger);
    return home;
}

Result<> OpenHome::record(char const* kind, std::string body) {
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

std::string one(char const* key, std::string const& value) {
    JsonWriter out;
    return out.begin('{').pair(key, value).end('}').take();
}

int say(Context const& context, std::string const& json, std::string const& words) {
    if (!print_json(context, json)) std::printf("%s\n", words.c_str());
    return 0;
}

Result<VaultKey> new_key(std::filesystem::path file, bool with_passphrase) {
    if (!with_passphrase) return VaultKey(std::move(file));
    TRY(passphrase, ask_new_passphrase());
    auto kept = std::make_shared<Secret>(std::move(passphrase));
    return VaultKey(std::move(file), [kept] { return Secret::from(kept->reveal()); });
}

}  // namespace parley
