#include "flow/flow.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

namespace parley {

Flow::Flow(FlowDeps deps) : deps_(std::move(deps)) {}
Flow::~Flow() = default;

void Flow::use(std::shared_ptr<Config const> config) {
    config_ = std::move(config);
    bases_.clear();
    closed_models_.clear();
    if (auto rebuilt = skills_.rebuild(*deps_.plugins); !rebuilt)
        deps_.trace(3, rebuilt.error().what);
    hooks_.use(hook_chain(*config_, *deps_.plugins));
    open_instances();
    if (!started_) {
        started_ = true;
        waiting_for_lists_.push_back([this] { recover(); });
    }
    filter_skill_lists();
    retry_budget_stops();
    arm_expiry();
    tend_cards_soon();
}

void Flow::stop() {
    stopping_ = true;
    timers_.clear();
    expiry_timer_.reset();
    budget_timer_.reset();
    for (auto& [name, open] : channels_) open.channel->stop();
    for (auto& [key, open] : providers_) open.provider->worker()->stop();
    for (auto& [key, open] : standing_workers_) open.worker->stop();
    for (auto const& ending : ending_) ending.worker->stop();
}

void Flow::on_delta(std::function<void(Session const&, std::string_view)> told) {
    delta_ = std::move(told);
}

Flow::Change Flow::begin_change() {
    return {deps_.ledger->begin(), {}};
}

void Flow::commit(Change change) {
    if (change.batch.records() > 0) deps_.gate->add_due_refusals(change.batch);
    auto after = [work = std::move(change.after)] {
        for (auto const& act : work) act();
    };
    deps_.ledger->commit(std::move(change.batch), std::move(after));
    auto changes = deps_.approvals->changes();
    if (std::exchange(approval_changes_, changes) != changes) tend_cards_soon();
}

Draft Flow::draft(char const* kind, Session const& session) const {
    Draft draft;
    draft.kind = kind;
    draft.agent = session.agent;
    draft.session = session.id;
    draft.turn = session.turns;
    draft.cause = session.cause;
    draft.actor = session.last_actor;
    return draft;
}

AgentConfig const* Flow::agent_of(Session const& session) const {
    auto found = config_->agents.find(session.agent);
    return found == config_->agents.end() ? nullptr : &found->second;
}

std::uint64_t Flow::begin_live(std::string const& key, std::function<void()> cancel) {
    live_[key] = {++last_token_, std::move(cancel)};
    return last_token_;
}

void Flow::drop_live(std::string const& key) {
    auto found = live_.find(key);
    if (found == live_.end()) return;
    if (found->second.cancel) deps_.loop->post(std::move(found->second.cancel));
    live_.erase(found);
}

bool Flow::end_live(std::string const& key, std::uint64_t token) {
    auto found = live_.find(key);
    if (found == live_.end() || found->second.token != token) return false;
    live_.erase(found);
    return true;
}

Channel const* Flow::channel(InstanceName const& name) const {
    auto found = channels_.find(name);
    return found == channels_.end() ? nullptr : found->second.channel.get();
}

Result<std::string> Flow::context(SessionId const& id, Seq at) const {
    if (!deps_.sessions->find(id)) return Error(Fault::not_found, "no session " + id.text);
    std::string body;
    deps_.ledger->session_records(id, 0, [&](Record const& record) {
        if (at && record.seq > at) return false;
        if (record.kind == "model.requested") body = record.body;
        return true;
    });
    if (body.empty()) return Error(Fault::not_found, "the model was not asked up to there");
    TRY(facts, parse_json(body));
    auto base = deps_.ledger->body(text_at(facts, "base"));
    if (!base) return Error(Fault::internal, "the request's base is missing");
    auto request = request_text(
        text_at(facts, "wire_model"), int_at(facts, "max_output_tokens"), *base,
        with_states_of(
            text_at(facts, "state_owner"),
            deps_.sessions->fragments(id, int_at(facts, "first_item"), int_at(facts, "last_item"))),
        text_at(facts, "closing"));
    if (hex(blake2b(request)) != text_at(facts, "digest"))
        return Error(Fault::internal, "the rebuilt request is not the one that was sent");
    return request;
}

std::string request_text(std::string_view model, std::int64_t max_output_tokens,
                         std::string_view base, std::string_view fragments,
                         std::string_view closing) {
    std::string request = R"({"model":)";
    append_quoted(request, model);
    request += R"(,"max_output_tokens":)" + std::to_string(max_output_tokens) + ',';
    request += base;
    request += R"(,"messages":[)";
    request += fragments;
    if (!closing.empty()) {
        if (!fragments.empty()) request += ',';
        request += user_fragment(closing, "");
    }
    request += "]}";
    return request;
}

}  // namespace parley
