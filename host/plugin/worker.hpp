#pragma once

// The worker link: a plugin at work in a process of its own, and the services that the host lends
// it. Roles (channel, provider, skill) speak through this and never see a frame.
#include "base/ids.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "config/config.hpp"
#include "plugin/catalogue.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

class Blobs;
class HttpClient;
class Tape;
class CallSlots;  // who may start a per-call worker now; see limits::call_workers
std::shared_ptr<CallSlots> make_call_slots();
class InboundDesk;  // where webhooks find who hears them
std::shared_ptr<InboundDesk> make_inbound_desk();
class Spawner;  // of worker processes
std::shared_ptr<Spawner> make_spawner();

enum class Verb : unsigned {
    // role << 8 | index of the function in the role's struct
    channel_run = 0x100, channel_send, channel_edit, channel_typing, channel_draft,
    provider_generate = 0x200, provider_list_models, provider_count_tokens, provider_embed,
    skill_invoke = 0x300, skill_reconcile, skill_preview, skill_list_dynamic,
    hook_on_event = 0x400,
};

// What comes back from one call. on_done is called once; nothing comes after it. All on the event
// thread, never from inside start().
struct CallSink {
    std::function<void(std::string_view bytes)> on_emit;
    // The result's bytes, or Fault::peer_failed / peer_gone / timed_out / cancelled with a clear
    // message.
    std::function<void(Result<std::string> result)> on_done;
    // Set for effectful calls: told before the first byte leaves through a host service; the
    // request waits until `go` is called. Not set: nothing waits.
    std::function<void(std::function<void()> go)> before_egress;
    // Counts operations of which a byte may have left: +1 when one is let go, -1 when it ended and
    // provably nothing of it did.
    std::function<void(int change)> egress;
};

struct CallOptions {
    std::chrono::milliseconds timeout{0};  // 0: none
    bool emits_are_durable = false;        // a channel's run: credit returns only by acknowledge()
};

// The operator's part of a directory grant, resolved: what the worker may see, and where.
struct Grant {
    std::string name;
    std::filesystem::path path;  // the same inside and outside
    GrantNeed::Access access;
};

struct WorkerSpec {
    std::string name;                     // for diagnostics and kv: an instance, model or plugin
    std::shared_ptr<PluginFile const> file;
    std::string config = "{}";            // checked against the schema, defaults filled in
    std::map<std::string, SecretName> secrets;
    std::set<std::string> reveal;         // fields of which the plugin may have the bytes
    std::vector<EgressRule> egress;       // manifest ∩ operator, from_config resolved to host and port
    bool allow_private = false;
    std::optional<std::string> inbound;   // it may hear webhooks, at this address (empty: unknown)
    std::vector<Grant> grants;            // with any: the worker serves one call and dies with it
    Isolation isolation = Isolation::strict;
    std::filesystem::path home, key_file; // hidden from a command runner
    std::uint16_t own_port = 0;           // the host's listener: never a destination
};

// What the services need from the rest of the house.
struct WorkerDeps {
    Loop* loop = nullptr;
    HttpClient* http = nullptr;
    std::filesystem::path worker_program;
    std::function<Result<Secret>(SecretName const&)> secret;
    std::function<void(SecretName const&, std::string const& worker, std::string const& host)> secret_used;
    // Does a secret stand in these bytes? Its name, or empty. Asked of everything on its way out.
    std::function<std::string(std::string_view)> find_secret;
    std::function<void(int level, std::string const& worker, std::string_view text)> trace;
    // The durable store of an instance; put with no value removes. Answers when durable.
    std::function<std::optional<std::string>(std::string const& worker, std::string_view key)> kv_get;
    std::function<void(std::string const& worker, std::string key, std::optional<std::string> value,
                       std::function<void()> durable)> kv_put;
    Blobs* blobs = nullptr;
    std::shared_ptr<Tape> tape;  // of HTTP, being recorded or played; usually none
    std::shared_ptr<CallSlots> call_slots = make_call_slots();  // shared by all workers of a host
    std::shared_ptr<InboundDesk> inbound = make_inbound_desk();
    std::shared_ptr<Spawner> spawner = make_spawner();
};

class Worker {
public:
    enum class State { starting, ready, restarting, quarantined, stopped };

    // Starts the process when the first call comes, or at once with start_now(). A worker that dies
    // fails its open calls and is started again with back-off; after
    // limits::worker_deaths_to_quarantine it stays down.
    // `deps` must outlive the worker.
    static std::shared_ptr<Worker> create(WorkerDeps const& deps, WorkerSpec spec);
    virtual ~Worker() = default;

    virtual void start_now() = 0;
    // Told on every change, with the reason.
    virtual void on_state(std::function<void(State, std::string const& reason)> told) = 0;
    virtual State state() const = 0;

    // Calls made while it starts wait for it, at most limits::worker_start_time.
    virtual std::uint64_t start(Verb verb, std::string request, CallOptions options, CallSink sink) = 0;
    virtual void cancel(std::uint64_t call) = 0;  // it ends by on_done, within the grace
    // For a channel's run: this cursor is durable. Empty: only returns credit for `bytes`.
    virtual void acknowledge(std::uint64_t call, std::string_view cursor, std::size_t bytes) = 0;
    // Takes no new calls; ends by itself when the last open one has ended.
    virtual void retire() = 0;
    // Fails open calls with Fault::cancelled, ends the process, never starts again.
    virtual void stop() = 0;
    virtual int pid() const = 0;  // 0 when none runs
    // Profile of the running process as it reported it (JSON), for plugin.loaded.
    virtual std::string profile() const = 0;
};

// Resolves a worker's egress from manifest and operator: from_config entries become exact hosts and
// ports, the operator's list narrows. Fault::bad_input when the operator's list would widen it.
Result<std::vector<EgressRule>> resolve_egress(Manifest const& manifest, std::string const& config,
                                               std::optional<std::vector<std::string>> const& narrowed);
// What the host would say of a plugin's wish, before any name is resolved or byte sent: for those who
// check plugins. `request` is what PARLEY_F_HTTP_START, PARLEY_F_STREAM_OPEN or PARLEY_F_WS_OPEN carries;
// `inject` of a write may be empty.
Result<> judge_http(WorkerSpec const& spec, std::string_view request, std::string_view body);
Result<> judge_stream(WorkerSpec const& spec, std::string_view request);
Result<> judge_write(WorkerSpec const& spec, std::string_view request, std::string_view inject);
Result<> judge_ws(WorkerSpec const& spec, std::string_view request);
Result<> judge_ws_write(WorkerSpec const& spec, std::string_view request, std::string_view inject);

// Two JSON objects, the second laid over the first key by key.
Result<std::string> lay_over(std::string const& base, std::string const& over);
// Checks config against the manifest's schema and fills in defaults.
Result<std::string> resolve_config(Manifest const& manifest, std::string const& config);
// A grant may not contain, equal or lie inside the home (workspaces aside) or the key's folder; one
// that may write, neither the folders of our own programs and plugins (`programs`): what decides,
// and what runs, is written by nothing that an agent can reach.
Result<> check_grant(Grant const& grant, Config const& config,
                     std::filesystem::path const& key_file,
                     std::vector<std::filesystem::path> const& programs);

}  // namespace parley
