#include "base/limits.hpp"
#include "config/config.hpp"
#include "config/yaml.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace parley {

namespace fs = std::filesystem;

namespace {

constexpr int format = 1;
// A host that was killed may leave a child that holds the lock until it begins its own program.
constexpr int lock_tries = 200;
constexpr auto lock_pause = std::chrono::milliseconds(10);

std::string environment(char const* name) {
    auto const* value = std::getenv(name);
    return value ? value : "";
}

Result<> write_new(fs::path const& path, std::string_view text) {
    int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool done = file >= 0 &&
                write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                fsync(file) == 0;
    auto why = std::strerror(errno);
    if (file >= 0) close(file);
    if (!done) return Error(Fault::internal, path.string() + ": " + why);
    return ok();
}

constexpr char parley_yaml[] = R"(# What this host runs. Unknown keys are errors, and say where.
listen: LISTEN

plugins:                      # a plugin that is not named here is never loaded
  rehearsal: {enabled: true}  # an offline model that does what its script says
  files:     {enabled: true}  # read, list, search, write and edit in an agent's workspace
  shell:     {enabled: true}  # run commands there, each after a person said yes
  # A stranger's: drop the file into plugins/, accept it with `parley plugin lock ID`, name it here.
  # org.example.weather: {enabled: true, config: {}, secrets: {api_key: weather/prod}}

models:
  default: {provider: rehearsal, model: rehearsal, price: {input: 0, output: 0}}
  # A real one: enable the plugin `openai` or `anthropic` above, put the key into the vault with
  #   parley secret set openai/default
  # and name it here:
  # gpt:
  #   provider: openai
  #   model: MODEL-NAME
  #   config:  {base_url: "https://api.openai.com/v1"}
  #   secrets: {api_key: openai/default}
  #   price:   {input: 1.0, output: 4.0}     # USD per million tokens; known vendors' stand in a table
  #   fallbacks: [default]                   # asked in turn when this one fails

# channels:
#   irc-main:
#     plugin: irc
#     agent: assistant
#     config: {host: 127.0.0.1, port: 6667, tls: false, nick: parley, channels: ["#ops"]}

approvals: {expire_after: 24h}

budgets:
  global: {limit_usd: 20, per: month, on_limit: refuse}
)";

constexpr char agent_yaml[] = R"(# Who may speak to this agent, and what it may do.
model: default
skills:
  allow: [read_file, list_files, search_files, write_file, edit_file, send_file, shell]
approval: {shell: always}
# Nobody is let in by default. The terminal and the API are the instance `api`.
# channels:
#   irc-main: {authorized_senders: ["account:you"]}
# Where it may speak first, with send_message among its skills; a person agrees to each message.
# reach:
#   me: {channel: irc-main, conversation: you}
)";

constexpr char soul_md[] = "You are a careful assistant on your operator's own machine.\n";
constexpr char instructions_md[] =
    "Say what you are about to do before you do it. Prefer reading to guessing. When a call is "
    "denied, do not try it again in another form; ask.\n";

}  // namespace

fs::path home_path(std::string const& given) {
    if (!given.empty()) return given;
    if (auto home = environment("PARLEY_HOME"); !home.empty()) return home;
    auto user = environment("HOME");
    return fs::path(user.empty() ? "/root" : user) / "parley";
}

fs::path vault_key_path() {
    if (auto folder = environment("CREDENTIALS_DIRECTORY"); !folder.empty())
        if (auto file = fs::path(folder) / "parley.vault.key"; fs::exists(file)) return file;
    if (auto file = environment("PARLEY_VAULT_KEY_FILE"); !file.empty()) return file;
    auto user = environment("HOME");
    return fs::path(user.empty() ? "/root" : user) / ".config/parley/vault.key";
}

Result<> check_home(fs::path const& home) {
    struct stat facts {};
    if (stat(home.c_str(), &facts) != 0)
        return Error(Fault::not_found,
                     "there is no home at " + home.string() + "; make one with: parley init");
    if (facts.st_uid != geteuid())
        return Error(Fault::denied,
                     home.string() + " belongs to another user; run parley as its owner");
    if (facts.st_mode & 077)
        return Error(Fault::denied, "others can enter " + home.string() +
                                        "; mend it with: chmod 700 " + home.string());
    for (auto const* below : {"parley.yaml", "overrides.yaml", "plugins.lock", "agents", "plugins",
                              "vault", "vault/secrets.vault", "tokens", "run", "ledger"}) {
        auto path = home / below;
        if (lstat(path.c_str(), &facts) != 0) continue;
        if (S_ISLNK(facts.st_mode))
            return Error(Fault::denied, path.string() + " is a link; put the real one there");
        if (facts.st_mode & 022)
            return Error(Fault::denied, "others can write " + path.string() +
                                            "; mend it with: chmod go-w " + path.string());
    }
    std::ifstream in(home / "format");
    int found = format;
    if (in && !(in >> found))
        return Error(Fault::bad_input, (home / "format").string() +
                                           " is damaged; it holds the number " +
                                           std::to_string(format));
    if (found > format)
        return Error(Fault::conflict, "this home has format " + std::to_string(found) +
                                          ", and this parley knows " + std::to_string(format) +
                                          "; use a newer parley");
    return ok();
}

Result<HomeLock> HomeLock::take(fs::path const& home) {
    std::error_code ignored;
    fs::create_directories(home / "run", ignored);
    auto path = home / "run" / "lock";
    int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return Error(Fault::internal, path.string() + ": " + std::strerror(errno));
    for (int tries = 1; flock(file, LOCK_EX | LOCK_NB) != 0; ++tries) {
        if (tries == lock_tries) {
            close(file);
            return Error(Fault::conflict, "another parley is using the home " + home.string());
        }
        std::this_thread::sleep_for(lock_pause);
    }
    return HomeLock(file);
}

HomeLock::HomeLock(HomeLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

HomeLock::~HomeLock() {
    if (descriptor_ >= 0) close(descriptor_);
}

Result<> make_home(InitOptions const& options) {
    auto const& home = options.home;
    if (fs::exists(home / "parley.yaml"))
        return Error(Fault::conflict,
                     "there is a home already at " + home.string() + "; it was left as it is");
    std::error_code error;
    if (fs::exists(home) && !fs::is_empty(home, error))
        return Error(Fault::conflict,
                     home.string() + " is not empty; choose another folder with --home");
    auto old = umask(077);
    for (auto const* folder :
         {"", "agents/assistant/workspace", "plugins", "vault", "ledger", "run"}) {
        fs::create_directories(home / folder, error);
        if (error) {
            umask(old);
            return Error(Fault::internal, (home / folder).string() + ": " + error.message());
        }
    }
    umask(old);
    fs::permissions(home, fs::perms::owner_all, error);
    std::string main_file(parley_yaml);
    main_file.replace(main_file.find("LISTEN"), 6, options.listen);
    MUST(write_new(home / "agents/assistant/agent.yaml", agent_yaml));
    MUST(write_new(home / "agents/assistant/soul.md", soul_md));
    MUST(write_new(home / "agents/assistant/instructions.md", instructions_md));
    MUST(write_new(home / "format", std::to_string(format) + '\n'));
    return write_new(home / "parley.yaml", main_file);
}

namespace {

void emit(std::string& out, Yaml const& node, int depth) {
    std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        auto const& value = node.items[i];
        out += indent + node.keys[i].text + ':';
        if (value.kind == Yaml::Kind::map && !value.keys.empty()) {
            out += '\n';
            emit(out, value, depth + 1);
        } else {
            // JSON is YAML: a leaf keeps its kind.
            out += ' ' + yaml_to_json(value) + '\n';
        }
    }
}

}  // namespace

Result<> write_override(fs::path const& home, std::string const& key_path,
                        std::string const& yaml_value) {
    auto path = home / "overrides.yaml";
    std::ostringstream text;
    if (std::ifstream in(path); in) text << in.rdbuf();
    TRY(tree, parse_yaml(text.str(), "overrides.yaml"));
    TRY(value, parse_yaml(yaml_value, "value"));
    auto* at = &tree;
    for (std::istringstream parts(key_path); !parts.eof();) {
        std::string part;
        std::getline(parts, part, '/');
        at->kind = Yaml::Kind::map;
        auto found = std::find_if(at->keys.begin(), at->keys.end(),
                                  [&](Yaml const& key) { return key.text == part; });
        auto index = static_cast<std::size_t>(found - at->keys.begin());
        if (found == at->keys.end()) {
            Yaml key;
            key.kind = Yaml::Kind::scalar;
            key.text = part;
            at->keys.push_back(key);
            at->items.emplace_back();
        }
        at = &at->items[index];
    }
    *at = std::move(value);
    std::string out = "# Written by the API; read after parley.yaml.\n";
    emit(out, tree, 0);
    auto temporary = home / "overrides.yaml.new";
    std::error_code error;
    fs::remove(temporary, error);
    MUST(write_new(temporary, out));
    fs::rename(temporary, path, error);
    if (error) return Error(Fault::internal, path.string() + ": " + error.message());
    if (int folder = open(home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
        fsync(folder);
        close(folder);
    }
    return ok();
}

}  // namespace parley
