#include "daemon/daemon.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "config/prices.hpp"
#include "control/control.hpp"
#include "daemon/notify.hpp"
#include "daemon/signals.hpp"
#include "inbound/webhooks.hpp"
#include "plugin/blobs.hpp"
#include "plugin/tape.hpp"
#include "trace/trace.hpp"
#include "vault/ask.hpp"
#include "wire/client.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace parley {

namespace {

// Nothing of this process may be dumped, traced by another user or inherited loosely.
void harden() {
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    umask(077);
    std::signal(SIGPIPE, SIG_IGN);
}

std::string actor_host() {
    return R"({"type":"host"})";
}

// All rooms, as members in plan order, so that they go in reverse.
class Daemon {
public:
    Daemon(std::filesystem::path home, std::shared_ptr<Tape> tape) : home_(std::move(home)) {
        workers_.tape = std::move(tape);
    }

    Result<> start();
    int run();

private:
    Result<Config> read_config();
    Result<> open_rooms();
    Result<> check_vault_age();
    Result<> open_doors();
    void build_worker_deps();
    void open_webhooks();
    void record(char const* kind, std::string body);
    void record_refusals();
    Result<> reload(char const* why);
    void stop();
    void note_secret_use(SecretName const& name, std::string const& worker,
                         std::string const& host);

    std::filesystem::path home_;
    Trace trace_;
    std::unique_ptr<HomeLock> lock_;
    std::shared_ptr<Config const> config_;
    std::unique_ptr<Vault> vault_;
    std::unique_ptr<Tokens> tokens_;
    SystemClock clock_;
    Loop loop_;
    std::unique_ptr<Ledger> ledger_;
    std::unique_ptr<Sessions> sessions_;
    std::unique_ptr<Gate> gate_;
    std::unique_ptr<Approvals> approvals_;
    std::unique_ptr<Budgets> budgets_;
    Catalogue plugins_;
    std::unique_ptr<HttpClient> http_;
    std::unique_ptr<Blobs> blobs_;
    WorkerDeps workers_;
    std::unique_ptr<Webhooks> webhooks_;
    std::unique_ptr<Flow> flow_;
    std::unique_ptr<Control> control_;
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<Signals> signals_;
    Loop::Handle stop_timer_;
    std::map<std::string, std::int64_t> secret_uses_;  // when each was last recorded
    bool stopping_ = false;
    int exit_code_ = 0;
};

Result<> Daemon::start() {
    MUST(check_home(home_));
    TRY(lock, HomeLock::take(home_));
    lock_ = std::make_unique<HomeLock>(std::move(lock));
    TRY(config, read_config());
    config_ = std::make_shared<Config const>(std::move(config));
    TRY(vault, Vault::open(home_ / "vault/secrets.vault", {vault_key_path(), ask_passphrase}));
    vault_ = std::move(vault);
    trace_.scrub_with([this](std::string& text) { return vault_->mask(text); });
    TRY(tokens, Tokens::load(home_ / "tokens", *vault_));
    tokens_ = std::make_unique<Tokens>(std::move(tokens));
    MUST(open_rooms());
    return open_doors();
}

// With prices where the operator gave none. Without a table they are unknown, as they would be in
// it.
Result<Config> Daemon::read_config() {
    TRY(config, load_config(home_));
    if (auto table = PriceTable::load(price_table()))
        table->apply(config);
    else
        trace_.write(Trace::Level::warn, table.error().what);
    return config;
}

Result<> Daemon::open_rooms() {
    Ledger::Options options;
    options.folder = home_ / "ledger";
    options.signer = {vault_->id(), vault_->ledger_public_key(),
                      [this](std::string_view bytes) { return vault_->sign_for_ledger(bytes); }};
    TRY(ledger, Ledger::open(std::move(options), loop_, clock_));
    ledger_ = std::move(ledger);
    ledger_->on_failure([this](Error error) {
        // Nothing that is not durable may have an effect, so nothing may go on.
        trace_.write(Trace::Level::error, error.what + "; the host stops");
        trace_.flush();
        _exit(70);
    });
    sessions_ = std::make_unique<Sessions>(*ledger_);
    gate_ = std::make_unique<Gate>(*ledger_);
    approvals_ = std::make_unique<Approvals>(*ledger_);
    budgets_ = std::make_unique<Budgets>(*ledger_);
    plugins_.scan(plugin_folder(), *config_);
    http_ = std::make_unique<HttpClient>(loop_);
    TRY(blobs, Blobs::open(loop_, home_ / "blobs"));
    blobs_ = std::move(blobs);
    build_worker_deps();
    return ok();
}

void Daemon::build_worker_deps() {
    workers_.loop = &loop_;
    workers_.http = http_.get();
    workers_.blobs = blobs_.get();
    workers_.worker_program = worker_program();
    workers_.secret = [this](SecretName const& name) { return vault_->get(name.scope, name.key); };
    workers_.secret_used = [this](SecretName const& name, std::string const& worker,
                                  std::string const& host) { note_secret_use(name, worker, host); };
    workers_.find_secret = [this](std::string_view text) { return vault_->find_secret_in(text); };
    workers_.trace = [this](int level, std::string const& worker, std::string_view text) {
        trace_.write(static_cast<Trace::Level>(std::clamp(level, 0, 3)),
                     '[' + worker + "] " + std::string(text));
    };
    workers_.kv_get = [this](std::string const& worker, std::string_view key) {
        return ledger_->get(Table::kv, worker + '/' + std::string(key));
    };
    workers_.kv_put = [this](std::string const& worker, std::string key,
                             std::optional<std::string> value, std::function<void()> durable) {
        auto batch = ledger_->begin();
        auto whole = worker + '/' + key;
        if (value)
            batch.put(Table::kv, whole, std::move(*value));
        else
            batch.erase(Table::kv, whole);
        ledger_->commit(std::move(batch), std::move(durable));
    };
}

void Daemon::open_webhooks() {
    WebhookDeps deps;
    deps.desk = workers_.inbound;
    deps.now_us = [this] { return ledger_->now_us(); };
    deps.secret = workers_.secret;
    deps.secret_used = workers_.secret_used;
    deps.find_secret = workers_.find_secret;
    deps.check_origin = [this](Request const& head) -> std::optional<HttpRefusal> {
        auto denial = control_->doorman().check_origin(head);
        if (!denial) return {};
        return HttpRefusal{denial->status, denial->detail};
    };
    deps.refused = [this](InstanceName const& instance, std::string const& why) {
        gate_->count_refusal(instance, Sender{{why}, ""});
    };
    deps.trace = workers_.trace;
    webhooks_ = std::make_unique<Webhooks>(std::move(deps));
    webhooks_->use(config_);
}

// An old vault put in the place of a newer one would bring back what was removed.
Result<> Daemon::check_vault_age() {
    auto known = ledger_->get(Table::meta, vault_generation);
    if (known && std::strtoull(known->c_str(), nullptr, 10) > vault_->generation())
        return Error(
            Fault::conflict,
            "the vault is older (generation " + std::to_string(vault_->generation()) +
                ") than the one that the ledger knows (" + *known +
                "); put the newer file back, or accept it with: parley ledger accept-loss");
    return ok();
}

Result<> Daemon::open_doors() {
    MUST(check_vault_age());
    server_ =
        std::make_unique<HttpServer>(loop_, [this](Request request, std::shared_ptr<Reply> reply) {
            if (Webhooks::is_for(request))
                webhooks_->handle(std::move(request), std::move(reply));
            else
                control_->handle(std::move(request), std::move(reply));
        });
    server_->check_heads_with([this](Request const& head) {
        return Webhooks::is_for(head) ? webhooks_->admit(head) : BodyTerms();
    });
    open_webhooks();
    MUST(server_->listen_tcp(config_->listen_host, config_->listen_port));
    MUST(server_->listen_unix(home_ / "run/parley.sock"));

    FlowDeps deps;
    deps.loop = &loop_;
    deps.ledger = ledger_.get();
    deps.sessions = sessions_.get();
    deps.gate = gate_.get();
    deps.approvals = approvals_.get();
    deps.budgets = budgets_.get();
    deps.plugins = &plugins_;
    deps.workers = &workers_;
    deps.vault_id = vault_->id();
    // The same at every start, and nowhere on the disk.
    deps.code_key = hex(blake2b(vault_->sign_for_ledger("parley.card-codes/1")));
    deps.key_file = vault_key_path();
    deps.programs = {plugin_folder(), worker_program().parent_path(), program_folder()};
    deps.own_port = server_->port();
    deps.mask = [this](std::string& text) { return vault_->mask(text); };
    deps.find_secret = [this](std::string_view text) { return vault_->find_secret_in(text); };
    deps.trace = [this](int level, std::string const& text) {
        trace_.write(static_cast<Trace::Level>(std::clamp(level, 0, 3)), text);
    };
    flow_ = std::make_unique<Flow>(std::move(deps));

    ControlDeps doors;
    doors.loop = &loop_;
    doors.ledger = ledger_.get();
    doors.vault = vault_.get();
    doors.tokens = tokens_.get();
    doors.sessions = sessions_.get();
    doors.gate = gate_.get();
    doors.approvals = approvals_.get();
    doors.budgets = budgets_.get();
    doors.plugins = &plugins_;
    doors.flow = flow_.get();
    doors.reload = [this] { return reload("the API changed them"); };
    control_ = std::make_unique<Control>(std::move(doors));
    control_->doorman().answers_to(config_->listen_host, server_->port(), config_->public_url);
    ledger_->on_durable(
        [this](std::shared_ptr<Record const> record) { control_->recorded(std::move(record)); });
    flow_->on_delta(
        [this](Session const& session, std::string_view text) { control_->delta(session, text); });

    JsonWriter started;
    started.begin('{').pair("version", PARLEY_VERSION).pair("config", config_->digest);
    started.pair("vault_generation", static_cast<std::int64_t>(vault_->generation())).end('}');
    record("host.started", started.take());
    auto age = ledger_->begin();
    age.put(Table::meta, vault_generation, std::to_string(vault_->generation()));
    ledger_->commit(std::move(age));
    JsonWriter loaded;
    loaded.begin('{').pair("digest", config_->digest).end('}');
    record("config.loaded", loaded.take());
    record_refusals();
    flow_->use(config_);
    return ok();
}

void Daemon::record(char const* kind, std::string body) {
    Draft draft;
    draft.kind = kind;
    draft.actor = actor_host();
    draft.body = std::move(body);
    auto batch = ledger_->begin();
    batch.record(std::move(draft));
    ledger_->commit(std::move(batch));
}

void Daemon::record_refusals() {
    for (auto const& entry : plugins_.entries()) {
        if (entry.state != PluginState::refused) continue;
        trace_.write(Trace::Level::warn,
                     "plugin " + entry.id.text + " is refused: " + entry.reason);
        JsonWriter body;
        body.begin('{').pair("plugin", entry.id.text).pair("reason", entry.reason).end('}');
        record("plugin.refused", body.take());
    }
}

// One record for each secret and worker an hour: a use is no event of its own.
void Daemon::note_secret_use(SecretName const& name, std::string const& worker,
                             std::string const& host) {
    auto& last = secret_uses_[name.text() + ' ' + worker + ' ' + host];
    auto now_us = ledger_->now_us();
    if (last && now_us - last < 3'600'000'000) return;
    last = now_us;
    JsonWriter body;
    body.begin('{').pair("secret", name.text()).pair("worker", worker).pair("host", host).end('}');
    record("secret.used", body.take());
}

Result<> Daemon::reload(char const* why) {
    notify("RELOADING=1");
    auto config = read_config();
    notify("READY=1");
    if (!config) {
        trace_.write(Trace::Level::error,
                     "the configuration was not changed: " + config.error().what);
        return config.error();
    }
    JsonWriter body;
    body.begin('{')
        .pair("from", config_->digest)
        .pair("to", config->digest)
        .pair("why", why)
        .end('}');
    config_ = std::make_shared<Config const>(std::move(*config));
    auto locked = plugins_.locked();
    plugins_.scan(plugin_folder(), *config_);
    for (auto const& [id, hash] : plugins_.locked()) {
        if (auto known = locked.find(id); known != locked.end() && known->second == hash) continue;
        JsonWriter accepted;
        accepted.begin('{').pair("plugin", id.text).pair("hash", hash).end('}');
        record("plugin.locked", accepted.take());
    }
    control_->doorman().answers_to(config_->listen_host, server_->port(), config_->public_url);
    webhooks_->use(config_);
    record("config.changed", body.take());
    record_refusals();
    flow_->use(config_);
    return ok();
}

void Daemon::stop() {
    if (stopping_) return;
    stopping_ = true;
    notify("STOPPING=1");
    record("host.stopped", "{}");
    flow_->stop();
    control_->stop();
    server_->stop();
    // Workers get a moment to end by themselves.
    stop_timer_ = loop_.after(std::chrono::milliseconds(200), [this] { loop_.stop(); });
}

int Daemon::run() {
    signals_ = std::make_unique<Signals>(loop_, [this](int signal) {
        if (signal == SIGHUP) {
            auto reloaded = reload("SIGHUP");
            if (reloaded) trace_.write(Trace::Level::info, "the configuration was read again");
        } else {
            stop();
        }
    });
    auto host = config_->listen_host.find(':') == std::string::npos
                    ? config_->listen_host
                    : '[' + config_->listen_host + ']';
    std::fprintf(stderr, "ready: http://%s:%d  home %s\n", host.c_str(), server_->port(),
                 home_.c_str());
    notify("READY=1");
    loop_.run();
    return exit_code_;
}

}  // namespace

int run_host(std::filesystem::path const& home, std::filesystem::path const& record,
             std::filesystem::path const& replay) {
    harden();
    std::shared_ptr<Tape> tape;
    if (!record.empty() || !replay.empty()) {
        auto opened = record.empty() ? Tape::replay(replay) : Tape::record(record);
        if (!opened) {
            std::fprintf(stderr, "parley: %s\n", opened.error().what.c_str());
            return 1;
        }
        tape = std::move(*opened);
    }
    Daemon daemon(home, std::move(tape));
    if (auto started = daemon.start(); !started) {
        std::fprintf(stderr, "parley: %s\n", started.error().what.c_str());
        return 1;
    }
    return daemon.run();
}

}  // namespace parley
