#pragma once

// Everything that an operator can say, as plain structs. YAML in; errors name file, line, column
// and the nearest known key. Nothing here acts.
#include "base/ids.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace parley {

// A secret is named by scope and key, and only the operator names it.
struct SecretName {
    std::string scope, key;
    auto operator<=>(SecretName const&) const = default;
    std::string text() const { return scope + "/" + key; }
};
Result<SecretName> parse_secret_name(std::string_view text);  // "scope/key"

// How a plugin's workers are confined. `reduced` does without namespaces, where the kernel gives
// none; it is the operator's explicit word, and never for a command.
enum class Isolation { strict, reduced };
char const* name_of(Isolation isolation);

struct PluginConfig {
    bool enabled = false;
    std::string config = "{}";                  // JSON object
    std::map<std::string, SecretName> secrets;  // declared field -> scope/key
    std::optional<std::vector<std::string>> egress;
    std::map<std::string, std::filesystem::path> grants;
    std::vector<std::string> reveal;
    std::string signed_by;       // Ed25519 public key, 64 hex digits; empty: no signature is asked
    bool allow_private = false;  // for a from_config host that is a name
    Isolation isolation = Isolation::strict;
};

// USD per million tokens, in nano-USD per token × 1000 (so 3.0 USD/M = 3'000'000 here).
struct Rates {
    std::int64_t input = 0, output = 0, cache_read = 0, cache_write = 0;
    bool operator==(Rates const&) const = default;
};
struct Price : Rates {
    // Some services charge a whole request more when its input is longer than so many tokens.
    std::int64_t long_from = 0;  // 0: they do not
    Rates of_long = {};
    bool operator==(Price const&) const = default;
};

struct ModelConfig {
    PluginId provider;
    std::string model;
    std::string config = "{}";
    std::map<std::string, SecretName> secrets;
    std::vector<std::string> fallbacks;    // names of other models, asked in turn when it fails
    std::optional<Price> price;            // absent: unknown, and a money cap refuses it
    std::string price_source = "unknown";  // or "parley.yaml", or "table DATE"
    std::int64_t max_output_tokens = 4096;
    std::int64_t context_tokens = 32768;
};

struct ChannelConfig {
    PluginId plugin;
    AgentName agent;
    std::string config = "{}";
    std::map<std::string, SecretName> secrets;
    std::vector<std::string> approvers;  // typed ids
    bool inbound = false;                // it hears webhooks, at /hooks/NAME
};

enum class OnLimit { warn, refuse };
enum class Period { day, month, total };

struct BudgetConfig {
    std::optional<std::int64_t> limit_nano_usd;
    std::optional<std::int64_t> limit_tokens;
    Period per = Period::total;
    OnLimit on_limit = OnLimit::refuse;
    double warn_at = 0.8;
    std::string timezone = "UTC";
};

enum class ApprovalRule { never, policy, always };

// A conversation in which an agent may speak first.
struct ReachConfig {
    InstanceName channel;
    std::string conversation;  // as the channel's plugin names it
};

struct AgentConfig {
    AgentName name;
    std::string model = "default";
    std::vector<std::string> skills_allow, skills_deny;  // full or bare names; allow empty = none
    std::map<std::string, ApprovalRule> approval;
    std::map<InstanceName, std::vector<std::string>> authorized_senders;
    std::optional<BudgetConfig> budget;
    std::vector<std::string> peers;
    std::map<std::string, ReachConfig> reach;  // by the names that the agent uses
    std::string soul, instructions;   // the two files, whole
    std::filesystem::path workspace;  // absolute
};

// One place of the chain; `fails_closed` tightens what the manifest says.
struct HookConfig {
    PluginId plugin;
    bool fails_closed = false;
};

struct Config {
    std::filesystem::path home;  // absolute, resolved
    std::string listen_host = "127.0.0.1";
    std::uint16_t listen_port = 7420;
    bool unsafe_listen = false;
    std::string public_url;
    std::map<PluginId, PluginConfig> plugins;
    std::map<std::string, ModelConfig> models;
    std::map<InstanceName, ChannelConfig> channels;
    std::map<AgentName, AgentConfig> agents;
    std::chrono::seconds approvals_expire_after{24 * 3600};
    std::vector<InstanceName> approvals_notify;
    std::vector<HookConfig> hooks;  // in the order in which they are run
    std::optional<BudgetConfig> global_budget;
    std::string digest;                  // hex BLAKE2b over every file read, in a fixed order
    std::vector<std::string> overrides;  // dotted keys that overrides.yaml changed, for doctor
};

// The models that a call to `name` may ask: itself, then its fallbacks, each followed by its own;
// none twice. A name that is no model has none.
std::vector<std::string> models_in_order(Config const& config, std::string const& name);

// Where the webhooks of an instance arrive, as the world sees it; empty without a public_url.
std::string webhook_url(Config const& config, InstanceName const& instance);

// Reads parley.yaml, overrides.yaml and agents/*/agent.yaml with their soul.md and
// instructions.md. All errors at once, one per line, each with file:line:column. A file that stands
// in `instead`, by its path below the home, is read as that text.
Result<Config> load_config(std::filesystem::path const& home,
                           std::map<std::string, std::string> const& instead = {});

// --home, else $PARLEY_HOME, else ~/parley.
std::filesystem::path home_path(std::string const& given);
// $CREDENTIALS_DIRECTORY/parley.vault.key, else $PARLEY_VAULT_KEY_FILE, else
// ~/.config/parley/vault.key.
std::filesystem::path vault_key_path();

// Fault::denied when the home, or a file of it that decides, could be written by others, with the
// chmod that mends it; Fault::conflict when its format is newer than this host.
Result<> check_home(std::filesystem::path const& home);

// Held by whoever writes the home: the host, or one offline verb. Released on destruction.
class HomeLock {
public:
    // Fault::conflict when another process holds it.
    static Result<HomeLock> take(std::filesystem::path const& home);
    HomeLock(HomeLock&&) noexcept;
    HomeLock& operator=(HomeLock&&) = delete;
    ~HomeLock();

private:
    explicit HomeLock(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

struct InitOptions {
    std::filesystem::path home;
    std::string listen = "127.0.0.1:7420";
};
// Makes the folders and files of a home that works at once, agent `assistant` on model `default`.
// Fault::conflict when there is a home already; it is left as it is.
Result<> make_home(InitOptions const& options);

// Replaces one value of overrides.yaml, durably. The path's parts are separated by '/', which no
// name holds: "agents/ops/budget".
Result<> write_override(std::filesystem::path const& home, std::string const& key_path,
                        std::string const& yaml_value);

}  // namespace parley
