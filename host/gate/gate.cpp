#include "gate/gate.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace parley {

namespace {

// A pattern in a list would admit people whom nobody named.
bool is_plain(std::string_view id) {
    return !id.empty() && id.size() <= limits::sender_id_bytes &&
           id.find_first_of("*?") == std::string_view::npos;
}

}  // namespace

std::string admitted_as(Sender const& sender, std::vector<std::string> const& authorized) {
    for (auto const& id : sender.ids)
        if ((is_plain(id) || !holds("plain-ids")) &&
            std::find(authorized.begin(), authorized.end(), id) != authorized.end())
            return id;
    return {};
}

Result<> may_speak_first(Config const& config, AgentName const& agent, InstanceName const& instance,
                         std::string_view conversation, std::string_view opener) {
    auto found = config.agents.find(agent);
    if (found == config.agents.end()) return Error(Fault::not_found, "no agent " + agent.text);
    auto const& reach = found->second.reach;
    bool is_named = std::any_of(reach.begin(), reach.end(), [&](auto const& one) {
        return one.second.channel == instance && one.second.conversation == conversation;
    });
    if (!is_named && holds("reach"))
        return Error(Fault::denied, "the conversation does not stand in the agent's reach");
    auto channel = config.channels.find(instance);
    bool answers = channel != config.channels.end() && channel->second.agent == agent;
    if (!answers && holds("reach-own-channel"))
        return Error(Fault::denied, "the agent does not answer on channel " + instance.text);
    auto const& lists = found->second.authorized_senders;
    auto list = lists.find(instance);
    Sender sender{{std::string(opener)}, ""};
    bool is_let_in = list != lists.end() && !admitted_as(sender, list->second).empty();
    if (!is_let_in && holds("reach-senders"))
        return Error(Fault::denied, opener.empty()
                                        ? "nobody who may speak there has opened the conversation"
                                        : "who wrote there last may not speak there any more");
    return ok();
}

Result<std::string> Gate::admit(Config const& config, AgentName const& agent,
                                InstanceName const& instance, Sender const& sender) const {
    auto found = config.agents.find(agent);
    if (found == config.agents.end()) return Error(Fault::not_found, "no agent " + agent.text);
    auto const& lists = found->second.authorized_senders;
    auto list = lists.find(instance);
    auto id = list == lists.end() ? std::string() : admitted_as(sender, list->second);
    if (id.empty() && holds("senders"))
        return Error(Fault::denied, "the sender is not on the list");
    return id;
}

void Gate::count_refusal(InstanceName const& instance, Sender const& sender) {
    std::string id = sender.ids.empty() ? "?" : sender.ids.front();
    id = visible(clipped(is_utf8(id) ? id : visible(id), 128));
    // It is shown in lines of others.
    for (auto at = id.find('\n'); at != id.npos; at = id.find('\n', at))
        id.replace(at, 1, "\\u{a}");
    Key key{instance.text, id};
    auto found = counts_.find(key);
    if (found == counts_.end()) {
        // Beyond the bound strangers share one line, so that they can fill nothing.
        if (senders_[instance.text] >= limits::refused_senders)
            key.second = "others";
        else
            ++senders_[instance.text];
        found = counts_.try_emplace(key).first;
    }
    ++found->second.count;
    due_ = true;
    found->second.last_us = ledger_.now_us();
}

void Gate::add_due_refusals(Batch& batch) {
    if (!due_) return;
    due_ = false;
    constexpr auto wait = std::chrono::microseconds(limits::refused_record_time).count();
    for (auto& [key, count] : counts_) {
        if (count.count == count.recorded) continue;
        if (count.recorded && count.last_us - count.recorded_us < wait) continue;
        JsonWriter body;
        body.begin('{').pair("instance", key.first).pair("sender", key.second);
        body.pair("count", count.count - count.recorded).end('}');
        Draft draft;
        draft.kind = "message.refused";
        draft.body = body.take();
        batch.record(std::move(draft));
        count.recorded = count.count;
        count.recorded_us = count.last_us;
    }
}

std::vector<Gate::Refused> Gate::refused(InstanceName const& instance) const {
    std::vector<Refused> list;
    for (auto const& [key, count] : counts_)
        if (key.first == instance.text) list.push_back({key.second, count.count, count.last_us});
    return list;
}

}  // namespace parley
