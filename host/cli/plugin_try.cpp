// A play-ground for one plugin: a home that is thrown away, the real host with its strict sandbox,
// and a chat.
#include "base/text.hpp"
#include "cli/open_home.hpp"
#include "plugin/lock.hpp"
#include "vault/ask.hpp"

#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

namespace parley {

namespace {

namespace fs = std::filesystem;

// Gone with everything in it when the trial is over.
class Scratch {
public:
    static Result<std::unique_ptr<Scratch>> make() {
        auto pattern = (fs::temp_directory_path() / "parley-try-XXXXXX").string();
        if (!mkdtemp(pattern.data()))
            return Error(Fault::unavailable,
                         "no folder could be made in " + fs::temp_directory_path().string());
        auto scratch = std::make_unique<Scratch>();
        scratch->path = pattern;
        return scratch;
    }
    ~Scratch() {
        std::error_code ignored;
        if (!path.empty()) fs::remove_all(path, ignored);
    }
    fs::path path;
};

// The host as a child: it is told to end when the trial is over.
class Running {
public:
    Running(fs::path const& home, fs::path const& log, TryOptions const& options) {
        auto program = fs::read_symlink("/proc/self/exe").string();
        std::vector<std::string> words{program, "run", "--home", home.string()};
        if (!options.record.empty()) words.insert(words.end(), {"--record-http", options.record});
        if (!options.replay.empty()) words.insert(words.end(), {"--replay-http", options.replay});
        std::vector<char*> arguments;
        for (auto& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        pid_ = fork();
        if (pid_ != 0) return;
        int out = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
        dup2(out, 1);
        dup2(out, 2);
        setpgid(0, 0);  // Ctrl-C is for the chat
        execv(program.c_str(), arguments.data());
        _exit(127);
    }
    Running(Running const&) = delete;
    ~Running() {
        if (pid_ <= 0) return;
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    bool is_over() {
        if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
        return pid_ <= 0;
    }

private:
    pid_t pid_ = -1;
};

Result<> write_file(fs::path const& path, std::string const& text) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    return out ? ok() : Result<>(Error(Fault::unavailable, path.string() + " cannot be written"));
}

// JSON is YAML.
std::string main_file(Manifest const& manifest, TryOptions const& options) {
    auto const& id = manifest.id.text;
    JsonWriter out;
    out.begin('{').pair("listen", "127.0.0.1:0").key("plugins").begin('{');
    out.key("rehearsal").begin('{').key("enabled").boolean(true).end('}');
    out.key(id).begin('{').key("enabled").boolean(true);
    out.key("config").raw(options.config.empty() ? "{}" : options.config);
    out.key("secrets").begin('{');
    for (auto const& field : manifest.secrets)
        if (field.required || options.asks_for(field.name))
            out.pair(field.name, "try/" + field.name);
    out.end('}').end('}').end('}');
    bool is_model = manifest.has_role(PARLEY_ROLE_PROVIDER);
    out.key("models").begin('{').key("default").begin('{');
    out.pair("provider", is_model ? id : "rehearsal").pair("model", options.model);
    out.key("price").begin('{').pair("input", 0).pair("output", 0).end('}').end('}').end('}');
    if (manifest.has_role(PARLEY_ROLE_CHANNEL)) {
        out.key("channels").begin('{').key("try").begin('{');
        out.pair("plugin", id).pair("agent", "assistant").end('}').end('}');
    }
    if (manifest.has_role(PARLEY_ROLE_HOOK)) out.key("hooks").begin('[').string(id).end(']');
    return out.end('}').take() + "\n";
}

std::string agent_file(Manifest const& manifest, TryOptions const& options) {
    JsonWriter out;
    out.begin('{').pair("model", "default").key("skills").begin('{').key("allow").begin('[');
    for (auto const& skill : manifest.skills) out.string(manifest.id.text + ':' + skill.name);
    out.end(']').end('}');
    if (manifest.has_role(PARLEY_ROLE_CHANNEL) && !options.sender.empty()) {
        out.key("channels").begin('{').key("try").begin('{');
        out.key("authorized_senders").begin('[').string(options.sender).end(']');
        out.end('}').end('}');
    }
    return out.end('}').take() + "\n";
}

// A tape needs no true secret; one that is asked for is never on the command line.
Result<Secret> secret_for(SecretField const& field, TryOptions const& options) {
    if (!options.replay.empty()) return Secret::from("not-a-secret-" + field.name);
    return ask_secret(("secret " + field.name + ": ").c_str());
}

Result<> furnish(fs::path const& home, fs::path const& file, PluginFile const& plugin,
                 TryOptions const& options) {
    auto const& manifest = plugin.manifest();
    InitOptions init;
    init.home = home;
    MUST(make_home(init));
    MUST(write_file(home / "parley.yaml", main_file(manifest, options)));
    MUST(write_file(home / "agents/assistant/agent.yaml", agent_file(manifest, options)));
    TRY(vault, Vault::create(home / "vault/secrets.vault", {vault_key_path(), {}}));
    TRY(tokens, Tokens::load(home / "tokens", *vault));
    for (auto scope : {Scope::admin, Scope::read})
        MUST(tokens.rotate(scope, sha256_hex(make_token(scope))));
    for (auto const& field : manifest.secrets) {
        if (!field.required && !options.asks_for(field.name)) continue;
        TRY(secret, secret_for(field, options));
        MUST(vault->set("try", field.name, std::move(secret), 0));
    }
    std::error_code error;
    fs::copy_file(file, home / "plugins/tried.so", error);
    if (error) return Error(Fault::unavailable, file.string() + ": " + error.message());
    PluginLock lock;
    return accept(home, lock, plugin);
}

void print_log(fs::path const& log) {
    std::ifstream in(log);
    std::cerr << visible(std::string(std::istreambuf_iterator<char>(in), {})) << std::flush;
}

}  // namespace

bool TryOptions::asks_for(std::string const& field) const {
    return std::find(secrets.begin(), secrets.end(), field) != secrets.end();
}

int verb_plugin_try(Context const& context, TryOptions const& options) {
    auto plugin = PluginFile::read(options.file);
    if (!plugin) return fail(options.file + ": " + plugin.error().what);
    auto const& manifest = (*plugin)->manifest();
    if (manifest.id.text.find('.') == std::string::npos)
        return fail(
            "an id without a dot belongs to the plugins of a release; call it like "
            "org.example." +
            manifest.id.text);
    auto scratch = Scratch::make();
    if (!scratch) return fail(scratch.error());
    auto home = (*scratch)->path / "home", log = (*scratch)->path / "log";
    setenv("PARLEY_VAULT_KEY_FILE", ((*scratch)->path / "key/vault.key").c_str(), 1);
    unsetenv("PARLEY_URL");
    if (auto made = furnish(home, options.file, **plugin, options); !made)
        return fail(made.error());

    Context inside = context;
    inside.home = home;
    Running host(home, log, options);
    for (int tries = 0; !inside.host_answers(); ++tries) {
        if (tries == 500 || host.is_over()) {
            print_log(log);
            return fail("the host did not start");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    auto entry = inside.ask("GET", "/api/v1/plugins/" + percent_encoded(manifest.id.text));
    if (!entry) return fail(entry.error());
    if (text_at(*entry, "state") == "refused")
        return fail("the plugin is refused: " + std::string(text_at(*entry, "reason")));
    std::fprintf(stderr, "%s %s in a home that is thrown away afterwards\n",
                 manifest.id.text.c_str(), manifest.version.c_str());
    ChatOptions chat;
    chat.agent = "assistant";
    chat.text = options.text;
    chat.has_text = !options.text.empty();
    auto done = verb_chat(inside, chat);
    if (options.shows_log || done == 1) print_log(log);
    return done;
}

}  // namespace parley
