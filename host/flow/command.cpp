// What a person tells the host itself, in the conversation: how it stands, stop, begin anew. It
// passes the gate as a message does, and reaches no model.
#include "base/json.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

namespace parley {

// Typed, where the service knows no commands of its own.
bool Flow::is_command(Inbound const& message) const {
    if (message.kind == Inbound::Kind::command) return true;
    auto const& text = message.text;
    return message.kind == Inbound::Kind::message && !features_of(message.instance).commands &&
           (text == "/status" || text == "/stop" || text == "/new");
}

void Flow::obey(Inbound message, std::string const& identity, std::function<void()> taken) {
    auto name = message.text.starts_with('/') ? message.text.substr(1) : message.text;
    auto actor = channel_actor(message.instance, identity);
    auto agent = config_->channels.at(message.instance).agent;
    auto owner = deps_.sessions->owner(message.instance, message.conversation);
    auto found = owner ? deps_.sessions->find(*owner) : nullptr;
    bool is_open = found && found->state != SessionState::done;

    auto change = begin_change();
    if (!message.cursor.empty())
        change.batch.put(Table::cursor, message.instance.text, message.cursor);
    change.after.push_back(std::move(taken));
    // One that comes again was obeyed before.
    auto seen = seen_key(message.instance, identity, message.external_id);
    bool is_known = !message.external_id.empty();
    if (is_known && deps_.ledger->get(Table::seen, seen)) return commit(std::move(change));

    Session there;
    there.instance = message.instance;
    there.conversation = message.conversation;
    there.agent = agent;
    if (is_open) there = *found;
    there.last_actor = actor;
    std::string answer = "Nothing is under way here.";
    // What may have happened is for the operator to find out, not for a sender to wipe away.
    bool is_unknown = is_open && there.reason == "outcome_unknown";
    if (is_open && name == "status") {
        answer = "Agent " + there.agent.text + ", session " + there.id.text + ", is " +
                 name_of(there.state);
        if (!there.reason.empty()) answer += " (" + there.reason + ": " + there.detail + ")";
        JsonWriter spent;
        answer += ". Turns: " + std::to_string(there.turns) +
                  ", spent: " + spent.usd(there.cost_nano_usd).take() +
                  " USD, messages waiting: " + std::to_string(there.waiting) + ".";
    } else if (is_unknown) {
        answer = "Nobody knows what became of a call here; the operator has to say first.";
    } else if (is_open && name == "stop" && there.has_turn()) {
        interrupt(change, there, actor);
        answer = "Stopped.";
    } else if (is_open && name == "new") {
        answer = "That session is over. Your next message begins a new one.";
    }
    queue_message(change, there, answer, true, 0);
    if (is_known) change.batch.put(Table::seen, seen, "0 " + there.id.text);
    if (is_open && name == "new" && !is_unknown) end_session(change, there, actor);
    commit(std::move(change));
    wake_those_waiting_for_budget();
}

// Ends the turn, not the session: every call of it has a result that says so, and what waits in the
// inbox comes next.
void Flow::interrupt(Change& change, Session& session, std::string const& actor) {
    auto turn = Turn::from_json(session.turn);
    drop_live(session.id.text + "/model");
    abandon_call(change, session, "a person stopped it");
    timers_.erase(session.id.text + "/model");
    waiting_for_budget_.erase(session.id.text);
    change.batch.erase(Table::session_index, "budget/" + session.id.text);
    for (std::size_t i = 0; turn && i < turn->calls().size(); ++i) {
        auto const call = turn->calls()[i];
        if (call.phase == CallPhase::settled) continue;
        drop_live(session.id.text + '/' + call.id.text);
        if (!call.approval.empty())
            if (auto approval = deps_.approvals->find(ApprovalId(call.approval)))
                deps_.approvals->close(change.batch, *approval, ApprovalState::cancelled,
                                       "a person stopped the turn");
        bool may_have_run = call.phase == CallPhase::sent || call.phase == CallPhase::unknown;
        settle(change, session, *turn, i,
               may_have_run ? "A person stopped this while it ran: whether it was done is unknown."
                            : "A person stopped this. It was not run to its end.",
               true, may_have_run ? "skill.unknown" : "skill.failed", actor);
    }
    auto failed = draft("turn.failed", session);
    failed.actor = actor;
    failed.body = R"({"why":"a person stopped it"})";
    change.batch.record(std::move(failed));
    session.reason.clear();
    session.detail.clear();
    if (turn) session.turn = turn->to_json();
    end_turn(change, session);
    deps_.sessions->save(change.batch, session);
}

}  // namespace parley
