#pragma once

// Durable human approvals: each is bound by one digest to everything that a person relied on, is
// decided once, used once and never by silence.
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "ledger/ledger.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// Everything that an approval is bound to but its id and time. Built afresh when the call is about
// to run; if it then hashes to another digest, the approval is superseded.
struct Binding {
    std::string vault_id;
    SessionId session;
    std::int64_t turn = 0;
    CallId call;
    AgentName agent;
    PluginId plugin;
    std::string file_hash, manifest_digest, config;  // of the plugin as it would run
    std::string profile;                             // isolation and limits, in words
    std::vector<std::string> grants;                 // "name access path"
    std::string skill, arguments;                    // the very bytes
    std::vector<std::string> destinations, secrets;  // hosts; scope/key names
    std::string effect;
    std::int64_t cost_ceiling_nano_usd = 0;
    std::string rules;   // which asked for this
    std::string target;  // "path digest" of a file's present content
};

enum class ApprovalState { pending, approved, consumed, denied, expired, superseded, cancelled };
char const* name_of(ApprovalState state);
std::optional<ApprovalState> approval_state_named(std::string_view name);

struct Approval {
    ApprovalId id;
    ApprovalState state = ApprovalState::pending;
    AgentName agent;
    SessionId session;
    std::int64_t turn = 0;
    CallId call;
    PluginId plugin;
    std::string skill, arguments, shown, digest;
    std::int64_t requested_us = 0, expires_us = 0, decided_us = 0;
    std::string by;  // JSON actor who decided
    std::string reason;
    std::string preview;  // the plugin's own words, which bind nobody
    Seq requested_seq = 0;
};

std::string digest_of(Binding const& binding, ApprovalId const& id, std::int64_t expires_us);
// The host's own rendering of the call, whole, every byte visible.
std::string render(Binding const& binding);
// The API's view. `reach`, JSON, says who was asked and where.
std::string to_json(Approval const& approval, std::string_view reach = {});

class Approvals {
public:
    explicit Approvals(Ledger const& ledger) : ledger_(ledger) {}

    std::optional<Approval> find(ApprovalId const& id) const;

    // Records approval.requested.
    Approval request(Batch& batch, Binding const& binding, std::int64_t expires_us,
                     Seq cause) const;

    // What its plugin says of a call that still waits, made visible. Of others it is nothing.
    void add_preview(Batch& batch, ApprovalId const& id, std::string_view text) const;

    // A decision carries only id, digest and verdict. Fault::not_found, Fault::conflict (decided,
    // expired or another digest). `actor` is JSON. Expired ones are marked so in the batch.
    struct Decision {
        ApprovalId id;
        bool approve = false;
        std::string digest, reason, actor;
    };
    Result<Approval> decide(Batch& batch, Decision const& decision) const;

    // In the INTENT batch: the approval must be approved, unexpired and bound to exactly this.
    // Fault::conflict when it was bound to something else (recorded as superseded),
    // Fault::timed_out when it expired meanwhile (recorded as expired).
    Result<Approval> consume(Batch& batch, ApprovalId const& id, Binding const& now) const;

    // Ends a pending or approved one without use: expired, superseded or cancelled.
    void close(Batch& batch, Approval approval, ApprovalState state, std::string const& why) const;

    // Grows with every change of an approval's state.
    std::uint64_t changes() const { return changes_; }

    // The earliest expiry of an open one, or 0.
    std::int64_t next_expiry_us() const;
    std::vector<Approval> expired(std::int64_t now_us) const;
    // In order of request, from after `after` on.
    void list(std::string_view after, std::function<bool(Approval const&)> const& each) const;

private:
    void write(Batch& batch, Approval const& approval, bool is_open) const;
    Seq record(Batch& batch, Approval const& approval, char const* kind, std::string body,
               std::string actor = {}) const;
    Ledger const& ledger_;
    mutable std::uint64_t changes_ = 0;
};

}  // namespace parley
