#pragma once

// The gate decides who may speak to which agent on which channel instance. It sees who sends,
// never what. Whoever it refuses leaves nothing behind but a bounded count.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "ledger/ledger.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// Who a channel says is speaking: typed ids, the strongest first ("account:ada", "mask:a!b@c").
struct Sender {
    std::vector<std::string> ids;
    std::string name;  // for people to read; never decides
};

// The id by which this sender is on the list, exactly and whole, or empty. No list, no entry; an
// empty id, a pattern or a prefix matches nothing.
std::string admitted_as(Sender const& sender, std::vector<std::string> const& authorized);

// May this agent speak first in that conversation? It must stand in the agent's `reach`, on a channel
// where the agent answers, and `opener`, the typed id of who wrote there last, must be let in by
// the list of this moment. Fault::denied says which of it is not so.
Result<> may_speak_first(Config const& config, AgentName const& agent, InstanceName const& instance,
                         std::string_view conversation, std::string_view opener);

class Gate {
public:
    explicit Gate(Ledger const& ledger) : ledger_(ledger) {}

    // The matching id. Fault::denied for a stranger, which is an answer and not a failure:
    // callers stay silent.
    Result<std::string> admit(Config const& config, AgentName const& agent,
                              InstanceName const& instance, Sender const& sender) const;

    // Counts a refusal in memory; due ones ride on the next batch, at most one record per instance
    // and sender an hour and limits::refused_senders senders an instance.
    void count_refusal(InstanceName const& instance, Sender const& sender);
    void add_due_refusals(Batch& batch);

    struct Refused {
        std::string sender;
        std::int64_t count = 0, last_us = 0;
    };
    std::vector<Refused> refused(InstanceName const& instance) const;

private:
    struct Count {
        std::int64_t count = 0, recorded = 0, last_us = 0, recorded_us = 0;
    };
    using Key = std::pair<std::string, std::string>;  // instance, sender
    std::map<Key, Count> counts_;
    std::map<std::string, int> senders_;
    bool due_ = false;  // something was counted since the last batch
    Ledger const& ledger_;
};

}  // namespace parley
