// A message comes in: the gate, the inbox, and, when the session is free, a turn.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

JsonWriter received_body(InstanceName const& instance, std::string_view conversation,
                         std::string_view external_id, std::string_view text) {
    JsonWriter body;
    body.begin('{').pair("instance", instance.text).pair("conversation", conversation);
    if (!external_id.empty()) body.pair("id", external_id);
    body.pair("text", text);
    return body;
}

std::vector<std::string> names_of(std::map<std::string, ReachConfig> const& reach) {
    std::vector<std::string> names;
    for (auto const& [name, place] : reach) names.push_back(name);
    return names;
}

}  // namespace

std::string seen_key(InstanceName const& instance, std::string_view sender,
                     std::string_view external_id) {
    // Lengths keep the parts apart: no sender can be made to look like another.
    return instance.text + '/' + std::to_string(sender.size()) + '/' + std::string(sender) + '/' +
           std::string(external_id);
}

void Flow::receive(Inbound message, std::function<void()> taken) {
    auto const& channel = config_->channels.find(message.instance);
    if (stopping_ || channel == config_->channels.end()) return;
    if (judge(message, taken)) return;
    Sender sender{message.sender_ids, message.sender_name};
    auto admitted = deps_.gate->admit(*config_, channel->second.agent, message.instance, sender);
    if (!admitted) return take(std::move(message), {}, std::move(taken));
    if (is_command(message) && message.attachments.empty())
        return obey(std::move(message), *admitted, std::move(taken));
    // What stands in the text as a secret never reaches a record, a hook or a model.
    if (!is_utf8(message.text)) message.text = visible(message.text);
    deps_.mask(message.text);
    HookEvent event;
    event.agent = channel->second.agent;
    event.instance = message.instance;
    event.conversation = message.conversation;
    event.sender = *admitted;
    event.text = message.text;
    filter_message(std::move(event), [this, message = std::move(message),
                                      taken = std::move(taken)](HookOutcome filtered) mutable {
        take(std::move(message), std::move(filtered), std::move(taken));
    });
}

// The gate's word is asked for now, not when a hook began to think.
void Flow::take(Inbound message, HookOutcome filtered, std::function<void()> taken) {
    auto const& channel = config_->channels.find(message.instance);
    if (channel == config_->channels.end()) return;
    Sender sender{message.sender_ids, message.sender_name};
    auto admitted = deps_.gate->admit(*config_, channel->second.agent, message.instance, sender);
    auto change = begin_change();
    if (!message.cursor.empty())
        change.batch.put(Table::cursor, message.instance.text, message.cursor);
    if (!admitted) {
        deps_.gate->count_refusal(message.instance, sender);
        // A stranger causes no sync of his own; a cursor must be safe before it is acknowledged.
        if (message.cursor.empty()) return taken();
        change.after.push_back(std::move(taken));
        return commit(std::move(change));
    }
    news_[message.instance].last_in_us = deps_.ledger->now_us();
    message.text = filtered.text;
    auto body =
        received_body(message.instance, message.conversation, message.external_id, message.text);
    auto name = message.is_private ? std::string() : message.sender_name;
    std::vector<TakenFile> files;
    if (!filtered.is_rejected && !is_known(message.instance, *admitted, message.external_id))
        files = take_files(channel->second.agent, message);
    if (!files.empty()) write_taken(body.key("attachments"), files);
    take_in(change, channel->second.agent, message.instance, message.conversation,
            message.external_id, *admitted,
            user_fragment(with_files(message.text, files), is_utf8(name) ? name : std::string()),
            body.end('}').take(), channel_actor(message.instance, *admitted), filtered);
    change.after.push_back(std::move(taken));
    commit(std::move(change));
}

void Flow::receive(ApiMessage message, Later<Accepted> accepted) {
    auto later = [&](Error error) {
        deps_.loop->post([accepted, error = std::move(error)] { accepted(error); });
    };
    if (stopping_) return later(Error(Fault::unavailable, "the host is stopping"));
    if (!config_->agents.contains(message.agent))
        return later(Error(Fault::not_found, "no agent " + message.agent.text));
    if (message.text.empty() || message.text.size() > limits::message_text_bytes)
        return later(Error(
            Fault::bad_input,
            "a message has 1 to " + std::to_string(limits::message_text_bytes) + " bytes of text"));
    if (message.conversation.size() > limits::sender_id_bytes ||
        message.message_id.size() > limits::sender_id_bytes)
        return later(Error(Fault::bad_input, "a conversation or message id is too long"));
    if (deps_.ledger->queued_bytes() > limits::commit_queue_bytes)
        return later(Error(Fault::unavailable, "the ledger is behind; try again shortly"));

    InstanceName instance("api");
    if (message.conversation.empty()) message.conversation = fresh_id("v-", deps_.ledger->now_us());
    // Conversations of the API belong to an agent each.
    auto conversation = message.agent.text + '/' + message.conversation;
    deps_.mask(message.text);
    auto owner = deps_.sessions->owner(instance, conversation);
    if (owner)
        if (auto session = deps_.sessions->find(*owner);
            session && session->waiting >= static_cast<std::int64_t>(limits::inbox_items))
            return later(Error(Fault::unavailable, "the session's inbox is full"));

    HookEvent event;
    event.agent = message.agent;
    event.instance = instance;
    event.conversation = message.conversation;
    event.sender = "api";
    event.text = message.text;
    filter_message(std::move(event),
                   [this, message = std::move(message),
                    accepted = std::move(accepted)](HookOutcome filtered) mutable {
                       take(std::move(message), std::move(filtered), std::move(accepted));
                   });
}

void Flow::take(ApiMessage message, HookOutcome filtered, Later<Accepted> accepted) {
    InstanceName instance("api");
    auto conversation = message.agent.text + '/' + message.conversation;
    auto const& text = filtered.text;
    auto change = begin_change();
    auto taken = take_in(
        change, message.agent, instance, conversation, message.message_id, "api",
        user_fragment(text, ""),
        received_body(instance, message.conversation, message.message_id, text).end('}').take(),
        std::move(message.actor), filtered);
    taken.conversation = message.conversation;
    change.after.push_back([accepted = std::move(accepted), taken] { accepted(taken); });
    commit(std::move(change));
}

bool Flow::is_known(InstanceName const& instance, std::string const& sender,
                    std::string const& external_id) const {
    return !external_id.empty() &&
           deps_.ledger->get(Table::seen, seen_key(instance, sender, external_id));
}

// De-duplicates, finds or makes the session, and queues or begins. All in the given batch.
Flow::Accepted Flow::take_in(Change& change, AgentName const& agent, InstanceName const& instance,
                             std::string const& conversation, std::string const& external_id,
                             std::string const& sender, std::string fragment, std::string body,
                             std::string actor, HookOutcome const& filtered) {
    auto seen = seen_key(instance, sender, external_id);
    if (!external_id.empty())
        if (auto earlier = deps_.ledger->get(Table::seen, seen)) {
            auto space = earlier->find(' ');
            Accepted accepted;
            accepted.seq = std::strtoull(earlier->c_str(), nullptr, 10);
            accepted.session = SessionId(earlier->substr(space + 1));
            return accepted;
        }

    auto owner = deps_.sessions->owner(instance, conversation);
    auto found = owner ? deps_.sessions->find(*owner) : nullptr;
    bool usable = found && found->state != SessionState::done && found->agent == agent;
    auto session = usable ? *found : open_session(change, agent, instance, conversation);

    if (filtered.is_rejected) {
        session.last_actor = actor;
        auto seq = note_hooks(change, session, HookPoint::message_in, {}, filtered);
        queue_message(change, session, "Your message was not taken: " + filtered.why, true, seq);
        if (!external_id.empty())
            change.batch.put(Table::seen, seen, std::to_string(seq) + ' ' + session.id.text);
        deps_.sessions->save(change.batch, session);
        return {session.id, seq, conversation};
    }
    note_hooks(change, session, HookPoint::message_in, {}, filtered);
    auto received = draft("message.received", session);
    received.turn = 0;
    received.cause = 0;
    received.actor = actor;
    received.body = std::move(body);
    auto seq = change.batch.record(std::move(received));
    if (!external_id.empty())
        change.batch.put(Table::seen, seen, std::to_string(seq) + ' ' + session.id.text);

    InboxItem item{seq, std::move(fragment), std::move(actor)};
    bool failed = session.state == SessionState::stopped && session.reason == "failure";
    if (session.state == SessionState::dormant || session.state == SessionState::idle || failed) {
        auto items = session.notes > 0 ? deps_.sessions->take_inbox(change.batch, session)
                                       : std::vector<InboxItem>();
        items.push_back(std::move(item));
        begin_turn(change, session, items);
    } else if (session.waiting < static_cast<std::int64_t>(limits::inbox_items)) {
        deps_.sessions->queue(change.batch, session, item);
        if (session.state == SessionState::stopped)
            queue_message(change, session,
                          "I am stopped (" + session.reason + "): " + session.detail +
                              " Your message is kept.",
                          true, seq);
        deps_.sessions->save(change.batch, session);
    } else {
        // Said once, not for each: a flood is not answered with a flood.
        if (session.waiting++ == static_cast<std::int64_t>(limits::inbox_items))
            queue_message(change, session,
                          "Too many messages wait already; from here on they are not taken until "
                          "those are answered.",
                          true, seq);
        deps_.sessions->save(change.batch, session);
    }
    return {session.id, seq, conversation};
}

Session Flow::open_session(Change& change, AgentName const& agent, InstanceName const& instance,
                           std::string const& conversation) {
    Session session;
    auto now_us = deps_.ledger->now_us();
    session.id = SessionId(fresh_id("s-", now_us));
    session.agent = agent;
    session.instance = instance;
    session.conversation = conversation;
    session.created_us = session.updated_us = now_us;
    auto started = draft("session.started", session);
    JsonWriter body;
    body.begin('{').pair("instance", instance.text).pair("conversation", conversation).end('}');
    started.body = body.take();
    change.batch.record(std::move(started));
    deps_.sessions->bind(change.batch, session);
    return session;
}

void Flow::begin_turn(Change& change, Session& session, std::vector<InboxItem> const& items) {
    auto const* agent = agent_of(session);
    session.state = SessionState::running;
    session.reason.clear();
    session.detail.clear();
    ++session.turns;
    // The last that somebody wrote; a note was written by nobody.
    for (auto const& item : items) {
        if (item.actor.empty()) continue;
        session.cause = item.seq;
        session.last_actor = item.actor;
    }
    session.turn_item = session.next_item;
    for (auto const& item : items) deps_.sessions->add_item(change.batch, session, item.fragment);
    // The snapshot that the turn keeps: persona, model and skill list.
    auto const& base = base_for(*agent);
    session.base = base.digest;
    session.model = agent->model;
    deps_.ledger->store_body(change.batch, base.text);

    auto started = draft("turn.started", session);
    JsonWriter body;
    body.begin('{').pair("items", static_cast<std::int64_t>(items.size()));
    started.body = body.pair("model", session.model).end('}').take();
    change.batch.record(std::move(started));
    Turn turn(session.turns);
    go_on(change, session, turn, turn.begin());
}

Flow::Base const& Flow::base_for(AgentConfig const& agent) {
    auto& base = bases_[agent.name.text];
    if (!base.text.empty()) return base;
    std::string system = agent.soul;
    if (!agent.instructions.empty()) system += (system.empty() ? "" : "\n\n") + agent.instructions;
    if (system.empty()) system = "You are " + agent.name.text + ", a helpful agent.";
    JsonWriter out;
    out.begin('{').pair("system", system).key("skills").begin('[');
    for (auto const& [name, skill] : skills_.all())
        if (may_use(agent, skill.plugin, skill.spec->name, skill.first_party) &&
            is_offered(agent.name, name))
            out.raw(skill.is_of_host() ? send_message_json(names_of(agent.reach))
                                       : tool_json(skill));
    out.end(']').end('}');
    // Kept as the members alone, to stand inside the request.
    auto text = out.take();
    base.text = text.substr(1, text.size() - 2);
    base.digest = hex(blake2b(base.text));
    return base;
}

// One that is in use may not be durable yet.
std::string Flow::base_text(std::string const& digest) const {
    for (auto const& [agent, base] : bases_)
        if (base.digest == digest) return base.text;
    return deps_.ledger->body(digest).value_or("");
}

}  // namespace parley
