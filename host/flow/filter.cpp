// The operator's hooks, where a text comes in, goes out, or passes between model and skill; and the
// record of what they did.
#include "base/json.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace parley {

// Messages of one conversation keep their order, however long a hook takes for one of them.
void Flow::in_line(std::string const& line, std::function<void(std::function<void()> next)> work) {
    auto& waiting = filter_lines_[line];
    waiting.push_back(std::move(work));
    if (waiting.size() == 1) begin_next(line);
}

void Flow::begin_next(std::string const& line) {
    auto found = filter_lines_.find(line);
    if (found == filter_lines_.end()) return;
    if (found->second.empty()) {
        filter_lines_.erase(found);
        return;
    }
    auto work = found->second.front();
    work([this, line] {
        filter_lines_[line].pop_front();
        deps_.loop->post([this, line] { begin_next(line); });
    });
}

void Flow::filter_message(HookEvent event, std::function<void(HookOutcome)> then) {
    if (open_lists_)
        return waiting_for_lists_.push_back(
            [this, event = std::move(event), then = std::move(then)]() mutable {
                filter_message(std::move(event), std::move(then));
            });
    event.point = HookPoint::message_in;
    if (!hooks_.listens(event.point)) return then({std::move(event.text), false, {}, {}});
    auto line = event.instance.text + '\n' + event.conversation;
    in_line(line, [this, event = std::move(event), then](std::function<void()> next) {
        hooks_.run(event, [this, then, next](HookOutcome outcome) {
            // What is not taken now comes again: it has not been acknowledged.
            if (stopping_) return;
            deps_.mask(outcome.text);
            then(std::move(outcome));
            next();
        });
    });
}

// Which of its skills an agent is offered. The chain is asked once for each configuration, so that
// what a model is told stays the same from turn to turn and its provider's cache holds.
void Flow::filter_skill_lists() {
    if (!hooks_.listens(HookPoint::skill_list) || config_->agents.empty()) {
        offered_.clear();
        return skill_lists_known();
    }
    auto open = open_lists_ = std::make_shared<std::size_t>(config_->agents.size());
    for (auto const& [name, agent] : config_->agents) {
        JsonWriter names;
        names.begin('[');
        for (auto const& [skill, entry] : skills_.all())
            if (may_use(agent, entry.plugin, entry.spec->name, entry.first_party))
                names.string(skill);
        HookEvent event;
        event.point = HookPoint::skill_list;
        event.agent = name;
        event.text = names.end(']').take();
        hooks_.run(std::move(event), [this, open, name = name](HookOutcome outcome) {
            if (stopping_ || open != open_lists_) return;
            take_skill_list(name, outcome);
            if (--*open == 0) skill_lists_known();
        });
    }
}

void Flow::take_skill_list(AgentName const& agent, HookOutcome const& outcome) {
    std::set<std::string> names;
    auto list = parse_json(outcome.text);
    if (list && list->is_array() && !outcome.is_rejected)
        for (auto const& name : list->get_array())
            if (name.is_string()) names.emplace(name.get_string());
    if (auto& offered = offered_[agent]; offered != names) {
        offered = std::move(names);
        bases_.erase(agent.text);
    }
    if (outcome.notes.empty()) return;
    auto change = begin_change();
    Session nobody;
    nobody.agent = agent;
    note_hooks(change, nobody, HookPoint::skill_list, {}, outcome);
    commit(std::move(change));
    // It may have died for a moment only.
    if (outcome.notes.back().kind == HookNote::Kind::failed)
        timers_["skill lists"] =
            deps_.loop->after(limits::hook_list_retry_time, [this] { filter_skill_lists(); });
}

void Flow::skill_lists_known() {
    open_lists_.reset();
    for (auto const& go : std::exchange(waiting_for_lists_, {})) go();
}

bool Flow::is_offered(AgentName const& agent, std::string const& skill) const {
    if (skill == send_message) {
        auto known = config_->agents.find(agent);
        if (known == config_->agents.end() || known->second.reach.empty()) return false;
    }
    if (!hooks_.listens(HookPoint::skill_list)) return true;
    auto found = offered_.find(agent);
    return found != offered_.end() && found->second.contains(skill);
}

HookEvent Flow::hook_event(HookPoint point, Session const& session, std::string text) const {
    HookEvent event;
    event.point = point;
    event.agent = session.agent;
    event.session = session.id;
    event.instance = session.instance;
    event.conversation = session.conversation;
    event.text = std::move(text);
    return event;
}

// First what the model said, then what becomes of it, then each call that is wanted, in their
// order.
void Flow::filter_answer(SessionId const& id, bool is_summary, Answer answer,
                         std::function<void(FilteredAnswer)> then) {
    auto session = deps_.sessions->find(id);
    auto filtered = std::make_shared<FilteredAnswer>();
    filtered->answer = std::move(answer);
    filtered->is_changed = deps_.mask(filtered->answer.text);
    for (auto& call : filtered->answer.calls) filtered->is_changed |= deps_.mask(call.arguments);
    if (!session || !hooks_.listens(HookPoint::model_after))
        return filter_reply(id, is_summary, std::move(filtered), std::move(then));
    hooks_.run(hook_event(HookPoint::model_after, *session, filtered->answer.text),
               [this, id, is_summary, filtered, then](HookOutcome outcome) {
                   // Who withholds what a model said withholds also what it wanted done.
                   if (outcome.is_rejected) filtered->answer.calls.clear();
                   filtered->answer.text = outcome.is_rejected ? "" : outcome.text;
                   filtered->model = std::move(outcome);
                   filter_reply(id, is_summary, filtered, then);
               });
}

void Flow::filter_reply(SessionId const& id, bool is_summary,
                        std::shared_ptr<FilteredAnswer> filtered,
                        std::function<void(FilteredAnswer)> then) {
    auto point = is_summary ? HookPoint::compaction : HookPoint::message_out;
    auto session = deps_.sessions->find(id);
    auto const& calls = filtered->answer.calls;
    bool has_text =
        (is_summary || calls.empty()) && !filtered->model.is_rejected && hooks_.listens(point);
    // What an agent says first is a message that goes out, too.
    bool speaks = std::any_of(calls.begin(), calls.end(),
                              [](auto const& call) { return call.name == send_message; });
    bool has_calls = !calls.empty() && (hooks_.listens(HookPoint::skill_before) ||
                                        (speaks && hooks_.listens(HookPoint::message_out)));
    if (!session || (!has_text && !has_calls)) return then(std::move(*filtered));

    deps_.mask(filtered->answer.text);
    auto told = [this, id, filtered, then](HookOutcome outcome) {
        filtered->text = std::move(outcome);
        filter_calls(id, filtered, then);
    };
    if (!has_text) return told({filtered->answer.text, false, {}, {}});
    hooks_.run(hook_event(point, *session, filtered->answer.text), told);
}

void Flow::filter_calls(SessionId const& id, std::shared_ptr<FilteredAnswer> filtered,
                        std::function<void(FilteredAnswer)> then) {
    auto at = filtered->calls.size();
    auto session = deps_.sessions->find(id);
    if (stopping_ || !session) return;
    if (at == filtered->answer.calls.size()) {
        if (!filtered->text.notes.empty()) filtered->answer.text = filtered->text.text;
        return then(std::move(*filtered));
    }
    auto const& call = filtered->answer.calls[at];
    auto event = hook_event(HookPoint::skill_before, *session, call.arguments);
    event.skill = call.name;
    auto told = [this, id, filtered, then](HookOutcome outcome) {
        filtered->calls.push_back(std::move(outcome));
        filter_calls(id, filtered, then);
    };
    hooks_.run(std::move(event),
               [this, id, told, speaks = call.name == send_message](HookOutcome outcome) {
                   if (!speaks) return told(std::move(outcome));
                   filter_first_words(id, std::move(outcome), told);
               });
}

void Flow::filter_result(SessionId const& id, std::string const& skill, Result<std::string> answer,
                         std::function<void(Result<std::string>, HookOutcome)> then) {
    auto session = deps_.sessions->find(id);
    auto result = result_from(answer);
    if (!session || !result || !hooks_.listens(HookPoint::skill_after))
        return then(std::move(answer), {});
    deps_.mask(result->content);
    auto event = hook_event(HookPoint::skill_after, *session, result->content);
    event.skill = skill;
    hooks_.run(std::move(event), [this, error = result->error, files = result->attachments,
                                  then](HookOutcome outcome) {
        if (stopping_) return;
        JsonWriter out;
        out.begin('{');
        if (outcome.is_rejected)
            out.pair("content", "The result was withheld by " + outcome.why)
                .key("error")
                .boolean(true);
        else
            write_attachments(
                out.pair("content", outcome.text).key("error").boolean(error).key("attachments"),
                files);
        then(out.end('}').take(), std::move(outcome));
    });
}

// Both versions stand in the ledger: the text before in this record, the text after in what
// follows.
Seq Flow::note_hooks(Change& change, Session const& session, HookPoint point, CallId const& call,
                     HookOutcome const& outcome) {
    Seq last = 0;
    for (auto const& note : outcome.notes) {
        auto record = draft(note.kind == HookNote::Kind::changed    ? "hook.changed"
                            : note.kind == HookNote::Kind::rejected ? "hook.rejected"
                                                                    : "hook.failed",
                            session);
        record.call = call;
        JsonWriter body;
        body.begin('{').pair("plugin", note.plugin.text).pair("point", name_of(point));
        if (note.before.size() > limits::record_body_bytes)
            body.pair("before_digest", deps_.ledger->store_body(change.batch, note.before));
        else
            body.pair("before", note.before);
        if (!note.why.empty()) body.pair("why", note.why);
        record.body = body.end('}').take();
        last = change.batch.record(std::move(record));
    }
    return last;
}

}  // namespace parley
