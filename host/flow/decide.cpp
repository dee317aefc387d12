// People decide: approvals, expiry, unknown outcomes, stopping and going on.
#include "base/json.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

// Later, as everything that a Later is told.
template <class T>
void tell(Loop& loop, Later<T> later, Result<T> result) {
    loop.post([later = std::move(later), result = std::move(result)] { later(result); });
}

void refuse(Loop& loop, Later<> later, Error error) {
    tell<std::monostate>(loop, std::move(later), std::move(error));
}

}  // namespace

void Flow::decide(Approvals::Decision decision, Later<Approval> decided) {
    auto change = begin_change();
    auto approval = deps_.approvals->decide(change.batch, decision);
    auto finish = [&](Result<Approval> result) {
        if (change.batch.records() == 0) return tell(*deps_.loop, std::move(decided), result);
        change.after.push_back(
            [decided = std::move(decided), result = std::move(result)] { decided(result); });
        commit(std::move(change));
    };
    if (!approval) return finish(std::move(approval));
    auto found = deps_.sessions->find(approval->session);
    auto turn = found ? Turn::from_json(found->turn) : Result<Turn>(Error(Fault::not_found, ""));
    auto index = turn ? turn->find(approval->call.text) : std::string::npos;
    if (index == std::string::npos || turn->calls()[index].approval != approval->id.text)
        return finish(std::move(approval));
    auto session = *found;
    auto was = session.state;
    if (session.state == SessionState::awaiting_approval) {
        session.state = SessionState::running;
        change.batch.record(draft("session.woken", session));
    }
    Result<Approval> told = approval;
    if (!decision.approve) {
        std::string why = "A person denied this call.";
        if (!decision.reason.empty()) why += " Reason: " + decision.reason;
        settle(change, session, *turn, index, why, true, "skill.failed", decision.actor);
    } else {
        // The rules of this moment, and exactly what was shown.
        auto invocation = prepare(session, turn->calls()[index]);
        auto const* agent = agent_of(session);
        auto ruling = invocation && agent
                          ? rule_on(*agent, invocation->skill->plugin, *invocation->skill->spec,
                                    invocation->skill->first_party)
                          : Ruling{};
        auto binding = invocation && ruling.kind != Ruling::Kind::refuse
                           ? binding_for(session, *turn, index, *invocation)
                           : Result<Binding>(Error(
                                 Fault::denied, invocation ? ruling.why : invocation.error().what));
        if (!binding) {
            deps_.approvals->close(change.batch, *approval, ApprovalState::superseded,
                                   binding.error().what);
            supersede(change, session, *turn, index, binding.error().what);
            told = Error(Fault::conflict, "the call is no longer allowed: " + binding.error().what);
        } else if (auto used = deps_.approvals->consume(change.batch, approval->id, *binding);
                   !used) {
            supersede(change, session, *turn, index, used.error().what);
            told = std::move(used);
        } else {
            told = std::move(used);
            start_call(change, session, *turn, index, std::move(*invocation));
        }
    }
    if (was == SessionState::stopped) {
        // Decided while stopped for another reason: the result is kept, the session stays put.
        session.turn = turn->to_json();
        deps_.sessions->save(change.batch, session);
    } else {
        go_on(change, session, *turn, {});
    }
    finish(std::move(told));
}

void Flow::supersede(Change& change, Session& session, Turn& turn, std::size_t index,
                     std::string const& why) {
    settle(change, session, turn, index,
           "This call was not run: " + why + ". You may ask for it again.", true, "skill.failed");
}

void Flow::expire_due() {
    end_approvals(deps_.approvals->expired(deps_.ledger->now_us()), ApprovalState::expired,
                  "nobody decided in time",
                  "The approval expired: nobody decided in time. It was not run.");
    arm_expiry();
}

// Ends open approvals without use; the model hears why.
void Flow::end_approvals(std::vector<Approval> const& open, ApprovalState state,
                         std::string const& why, std::string const& words) {
    for (auto const& approval : open) {
        auto change = begin_change();
        deps_.approvals->close(change.batch, approval, state, why);
        auto found = deps_.sessions->find(approval.session);
        auto turn =
            found ? Turn::from_json(found->turn) : Result<Turn>(Error(Fault::not_found, ""));
        auto index = turn ? turn->find(approval.call.text) : std::string::npos;
        if (index != std::string::npos && turn->calls()[index].approval == approval.id.text &&
            turn->calls()[index].phase == CallPhase::parked) {
            auto session = *found;
            if (session.state == SessionState::awaiting_approval)
                session.state = SessionState::running;
            settle(change, session, *turn, index, words, true, "skill.failed");
            go_on(change, session, *turn, {});
        }
        commit(std::move(change));
    }
}

void Flow::arm_expiry() {
    auto next = deps_.approvals->next_expiry_us();
    if (next == 0 || stopping_) return expiry_timer_.reset();
    auto wait = std::chrono::microseconds(std::max<std::int64_t>(next - deps_.ledger->now_us(), 0));
    expiry_timer_ =
        deps_.loop->after(wait + std::chrono::milliseconds(1), [this] { expire_due(); });
}

void Flow::cancel(SessionId const& id, std::string actor, Later<> done) {
    auto found = deps_.sessions->find(id);
    if (!found) return refuse(*deps_.loop, done, Error(Fault::not_found, "no session " + id.text));
    if (found->state == SessionState::done) return tell<std::monostate>(*deps_.loop, done, ok());
    auto change = begin_change();
    end_session(change, *found, actor);
    change.after.push_back([done = std::move(done)] { done(ok()); });
    commit(std::move(change));
    wake_those_waiting_for_budget();
}

void Flow::end_session(Change& change, Session session, std::string const& actor) {
    auto const id = session.id;
    auto turn = Turn::from_json(session.turn.empty() ? "{}" : session.turn);
    std::vector<CallId> calls;
    if (turn)
        for (auto const& call : turn->calls()) {
            calls.push_back(call.id);
            if (!call.approval.empty())
                if (auto approval = deps_.approvals->find(ApprovalId(call.approval)))
                    deps_.approvals->close(change.batch, *approval, ApprovalState::cancelled,
                                           "the session was cancelled");
            // What was under way may have happened; that is said, not guessed.
            if (call.phase == CallPhase::sent || call.phase == CallPhase::unknown) {
                auto unknown = draft("skill.unknown", session);
                unknown.call = call.id;
                unknown.body = R"({"evidence":"cancelled while it ran"})";
                change.batch.record(std::move(unknown));
            }
            drop_live(id.text + '/' + call.id.text);
        }
    drop_live(id.text + "/model");
    abandon_call(change, session, "the session was cancelled");
    timers_.erase(id.text + "/model");
    waiting_for_budget_.erase(id.text);
    deps_.sessions->drop_arguments(change.batch, id, calls);
    deps_.sessions->take_inbox(change.batch, session);
    session.turn.clear();
    session.state = SessionState::done;
    session.reason.clear();
    session.detail.clear();
    session.updated_us = deps_.ledger->now_us();
    auto finished = draft("session.finished", session);
    finished.actor = actor;
    finished.body = R"({"why":"cancelled"})";
    change.batch.record(std::move(finished));
    deps_.sessions->save(change.batch, session);
}

void Flow::resume(SessionId const& id, std::string actor, Later<> done) {
    auto found = deps_.sessions->find(id);
    if (!found) return refuse(*deps_.loop, done, Error(Fault::not_found, "no session " + id.text));
    if (found->state != SessionState::stopped)
        return refuse(
            *deps_.loop, done,
            Error(Fault::conflict, std::string("the session is ") + name_of(found->state)));
    auto session = *found;
    auto turn = Turn::from_json(session.turn.empty() ? "{}" : session.turn);
    if (!turn || turn->has(CallPhase::unknown))
        return refuse(*deps_.loop, done,
                      Error(Fault::conflict, "a call's outcome is unknown; resolve it first"));
    if (!agent_of(session))
        return refuse(*deps_.loop, done,
                      Error(Fault::conflict, "its agent is no longer configured"));
    auto change = begin_change();
    change.batch.erase(Table::session_index, "budget/" + id.text);
    session.reason.clear();
    session.detail.clear();
    auto woken = draft("session.woken", session);
    woken.actor = std::move(actor);
    change.batch.record(std::move(woken));
    if (session.has_turn()) {
        session.state = SessionState::running;
        go_on(change, session, *turn, turn->resume());
    } else {
        end_turn(change, session);
        deps_.sessions->save(change.batch, session);
    }
    change.after.push_back([done = std::move(done)] { done(ok()); });
    commit(std::move(change));
}

void Flow::resolve(SessionId const& id, CallId const& call, Verdict verdict, std::string note,
                   std::string actor, Later<> done) {
    auto found = deps_.sessions->find(id);
    if (!found) return refuse(*deps_.loop, done, Error(Fault::not_found, "no session " + id.text));
    auto turn = Turn::from_json(found->turn.empty() ? "{}" : found->turn);
    auto index = turn ? turn->find(call.text) : std::string::npos;
    if (index == std::string::npos || turn->calls()[index].phase != CallPhase::unknown)
        return refuse(*deps_.loop, done,
                      Error(Fault::conflict, "call " + call.text + " has no unknown outcome"));
    auto session = *found;
    auto change = begin_change();
    constexpr char const* words[] = {"done", "not_done", "retry"};
    auto resolved = draft("skill.resolved", session);
    resolved.call = call;
    resolved.actor = actor;
    JsonWriter body;
    body.begin('{').pair("verdict", words[static_cast<int>(verdict)]);
    if (!note.empty()) body.pair("note", note);
    resolved.body = body.end('}').take();
    session.cause = change.batch.record(std::move(resolved));
    session.state = SessionState::running;
    session.reason.clear();
    session.detail.clear();

    auto with_note = [&](std::string text) {
        return note.empty() ? text : text + " Note: " + note;
    };
    if (verdict == Verdict::done)
        settle(change, session, *turn, index,
               with_note("Its outcome was unknown. A person checked: it was done."), false,
               "skill.finished", actor);
    else if (verdict == Verdict::not_done)
        settle(change, session, *turn, index,
               with_note("Its outcome was unknown. A person checked: it was not done. Do not "
                         "retry it by yourself."),
               true, "skill.failed", actor);
    else
        turn->set_phase(index, CallPhase::wanted);
    bool still_unknown = turn->has(CallPhase::unknown);
    if (verdict == Verdict::retry) consider(change, session, *turn, index, true);
    if (still_unknown) {
        session.state = SessionState::stopped;
        session.reason = "outcome_unknown";
        session.detail = "another call of this turn has an unknown outcome.";
        session.turn = turn->to_json();
        deps_.sessions->save(change.batch, session);
    } else {
        go_on(change, session, *turn, {});
    }
    change.after.push_back([done = std::move(done)] { done(ok()); });
    commit(std::move(change));
}

}  // namespace parley
