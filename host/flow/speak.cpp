// An agent speaks first: to a conversation that its operator named and that somebody who may speak
// to it has opened. The words are a message like any other from then on, in the line of that
// conversation and in the outbox; whoever answers there finds that the agent knows what it said.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

// The typed id of who wrote last in the conversation that this session owns.
std::string opener_of(Session const& session) {
    auto actor = parse_json(session.last_actor);
    return std::string(actor ? text_at(*actor, "sender") : std::string_view());
}

std::string agent_actor(Session const& session) {
    JsonWriter out;
    out.begin('{').pair("type", "agent").pair("agent", session.agent.text);
    return out.pair("session", session.id.text).end('}').take();
}

}  // namespace

// `to` is a name of the agent's reach, or CHANNEL/CONVERSATION that stands there.
Result<Flow::Place> Flow::place_named(AgentName const& agent, std::string_view to) const {
    auto known = config_->agents.find(agent);
    if (known == config_->agents.end()) return Error(Fault::not_found, "no agent " + agent.text);
    auto const& reach = known->second.reach;
    std::string names;
    Place place;
    for (auto const& [name, one] : reach) {
        names += (names.empty() ? "" : ", ") + name;
        if (to != name && to != one.channel.text + '/' + one.conversation) continue;
        place.instance = one.channel;
        place.conversation = one.conversation;
    }
    if (place.conversation.empty())
        return Error(Fault::not_found, "there is no conversation '" + visible(clipped(to, 64)) +
                                           "' for you; there are: " + names);
    auto owner = deps_.sessions->owner(place.instance, place.conversation);
    auto session = owner ? deps_.sessions->find(*owner) : nullptr;
    MUST(may_speak_first(*config_, agent, place.instance, place.conversation,
                         session ? opener_of(*session) : std::string()));
    if (session->notes >= limits::first_words_unanswered)
        return Error(Fault::denied, std::to_string(session->notes) +
                                        " of your messages there are not answered; wait until "
                                        "the person writes");
    place.owner = *owner;
    return place;
}

// The rules of the moment at which it leaves.
Result<> Flow::may_leave(OutboxEntry const& entry) const {
    if (!entry.is_first) return ok();
    auto owner = deps_.sessions->owner(entry.instance, entry.conversation);
    auto session = owner ? deps_.sessions->find(*owner) : nullptr;
    return may_speak_first(*config_, entry.agent, entry.instance, entry.conversation,
                           session ? opener_of(*session) : std::string());
}

// All of it is the batch that consumes the approval: either the message stands in the outbox, once,
// or nothing happened.
void Flow::speak_first(Change& change, Session& session, Turn& turn, std::size_t index,
                       Invocation const& invocation, Seq started) {
    auto finish = [&](std::string const& content, bool is_error) {
        settle(change, session, turn, index, content, is_error,
               is_error ? "skill.failed" : "skill.finished");
    };
    auto arguments = parse_json(invocation.arguments);
    auto place = arguments ? place_named(session.agent, text_at(*arguments, "to"))
                           : Result<Place>(arguments.error());
    if (!place) return finish(place.error().what, true);
    std::string text(text_at(*arguments, "text"));
    if (auto found = deps_.find_secret(text); !found.empty())
        return finish("It was not sent: the text held the secret " + found + ".", true);

    bool is_here = place->owner == session.id;
    Session there = is_here ? session : *deps_.sessions->find(place->owner);
    if (!is_here && (there.state == SessionState::done || there.agent != session.agent)) {
        auto opened = open_session(change, session.agent, place->instance, place->conversation);
        opened.last_actor = there.last_actor;
        there = std::move(opened);
    }
    OutboxEntry entry;
    entry.id = OutboxId(fresh_id("o-", deps_.ledger->now_us()));
    entry.instance = place->instance;
    entry.conversation = place->conversation;
    entry.agent = session.agent;
    entry.session = there.id;
    entry.text = without_mark(text);
    entry.is_first = true;
    entry.queued_us = deps_.ledger->now_us();
    auto queued = draft("message.queued", there);
    queued.cause = started;
    queued.actor = agent_actor(session);
    JsonWriter body;
    body.begin('{').pair("id", entry.id.text).pair("instance", entry.instance.text);
    body.pair("conversation", entry.conversation).key("first").boolean(true);
    queued.body = body.pair("text", entry.text).end('}').take();
    entry.cause = change.batch.record(std::move(queued));
    if (!is_here) {
        deps_.sessions->note(change.batch, there, entry.cause,
                             user_fragment("(From the host, not from the person. Before what "
                                           "follows, you wrote here by yourself:)\n" +
                                               entry.text,
                                           ""));
        deps_.sessions->save(change.batch, there);
    }
    auto id = entry.id.text;
    put_in_line(change, std::move(entry));
    finish("Queued as " + id +
               ": it leaves in its turn, and is not lost if that takes long. An "
               "answer comes in that conversation, not here.",
           false);
}

// Whoever answers there should not believe that it was read.
void Flow::note_lost(Change& change, OutboxEntry const& entry, Seq failed) {
    auto owner = deps_.sessions->owner(entry.instance, entry.conversation);
    auto session = owner ? deps_.sessions->find(*owner) : nullptr;
    if (!session || session->state == SessionState::done) return;
    auto there = *session;
    deps_.sessions->note(
        change.batch, there, failed,
        user_fragment(
            "(From the host, not from the person. This did not arrive: " + entry.text + ")", ""));
    deps_.sessions->save(change.batch, there);
}

// A hook over messages that go out stands over these, too; what it makes of them is what is asked
// for.
void Flow::filter_first_words(SessionId const& id, HookOutcome arguments,
                              std::function<void(HookOutcome)> then) {
    auto session = deps_.sessions->find(id);
    auto value = parse_json(arguments.text);
    std::string to(value ? text_at(*value, "to") : ""), text(value ? text_at(*value, "text") : "");
    auto place = session ? place_named(session->agent, to)
                         : Result<Place>(Error(Fault::not_found, "no session"));
    // What leads nowhere is refused later, by the rules.
    if (arguments.is_rejected || !place || !hooks_.listens(HookPoint::message_out))
        return then(std::move(arguments));
    auto event = hook_event(HookPoint::message_out, *session, text);
    event.instance = place->instance;
    event.conversation = place->conversation;
    hooks_.run(std::move(event),
               [arguments = std::move(arguments), to, text, then](HookOutcome words) mutable {
                   for (auto& note : words.notes) arguments.notes.push_back(std::move(note));
                   if (words.is_rejected) {
                       arguments.is_rejected = true;
                       arguments.why = std::move(words.why);
                   } else if (words.text != text) {
                       JsonWriter out;
                       out.begin('{').pair("to", to).pair("text", words.text).end('}');
                       arguments.text = out.take();
                   }
                   then(std::move(arguments));
               });
}

}  // namespace parley
