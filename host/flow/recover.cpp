// After a crash: what stands open in the ledger is taken up again by the same code that ran it
// first, and what may have happened is never guessed.
#include "base/json.hpp"
#include "flow/flow.hpp"
#include "permit/effects.hpp"

#include <boost/json/value.hpp>

#include <limits>

namespace parley {

void Flow::recover() {
    // Messages on their way when the host went down: nobody knows.
    for (auto& entry : outbox()) {
        if (entry.stage == "sent") {
            auto change = begin_change();
            entry.stage = "unknown";
            entry.detail = "the host stopped while it was being sent";
            auto draft = outbox_draft("message.unknown", entry);
            JsonWriter body;
            body.begin('{').pair("id", entry.id.text).pair("detail", entry.detail).end('}');
            draft.body = body.take();
            change.batch.record(std::move(draft));
            put_outbox(change.batch, entry);
            commit(std::move(change));
        } else if (entry.stage == "queued") {
            lines_[{entry.instance.text, entry.conversation}].push_back(entry.id);
        }
    }
    // Records were lost and the operator goes on without them: what was decided then is void, and
    // what was under way may have happened.
    bool lost = deps_.ledger->lost_records() || deps_.ledger->get(Table::meta, loss_accepted);
    for (auto const& id : deps_.sessions->open_work()) recover_session(id, lost);
    if (lost) {
        end_approvals(deps_.approvals->expired(std::numeric_limits<std::int64_t>::max()),
                      ApprovalState::cancelled, "records of the ledger were lost",
                      "This call was not run: the approval is void, since records were lost.");
        auto change = begin_change();
        change.batch.erase(Table::meta, loss_accepted);
        commit(std::move(change));
    }
    expire_due();
    recovered_ = true;
    tend_cards_soon();
}

void Flow::recover_session(SessionId const& id, bool lost) {
    auto found = deps_.sessions->find(id);
    if (!found || !found->has_turn()) return;
    auto session = *found;
    auto parsed = Turn::from_json(session.turn);
    if (!parsed) return;
    auto& turn = *parsed;
    auto change = begin_change();
    if (!agent_of(session)) {
        stop_session(change, session, turn, "failure", "its agent is no longer configured.");
        deps_.sessions->save(change.batch, session);
        return commit(std::move(change));
    }
    if (turn.is_thinking()) {
        lose_attempt(change, session);
        go_on(change, session, turn, {AskModel{}});
        return commit(std::move(change));
    }
    std::vector<Step> steps;
    std::vector<CallId> to_reconcile;
    for (std::size_t i = 0; i < turn.calls().size(); ++i) {
        auto const call = turn.calls()[i];
        if (call.phase == CallPhase::wanted) steps.push_back(ConsiderCall{i});
        if (call.phase != CallPhase::started && call.phase != CallPhase::sent) continue;
        auto const* skill = skills_.find(call.skill);
        auto effect = skill ? skill->spec->effect : EffectClass::irreversible;
        auto stage = call.phase == CallPhase::sent ? Stage::sent : Stage::started;
        switch (lost ? Remedy::unknown : remedy_for(effect, stage)) {
            case Remedy::run_again:
                if (auto invocation = prepare(session, call); invocation)
                    start_call(change, session, turn, i, std::move(*invocation));
                else
                    settle(change, session, turn, i, invocation.error().what, true, "skill.failed");
                break;
            case Remedy::reconcile:
                to_reconcile.push_back(call.id);
                break;
            case Remedy::unknown:
                call_unknown(change, session, turn, i,
                             "the host stopped after the call was let go and before its result was "
                             "recorded");
                break;
        }
    }
    if (session.state == SessionState::stopped) {
        session.turn = turn.to_json();
        deps_.sessions->save(change.batch, session);
    } else {
        go_on(change, session, turn, std::move(steps));
    }
    commit(std::move(change));
    for (auto const& call : to_reconcile) reconcile(id, call);
}

}  // namespace parley
