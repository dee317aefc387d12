// The reply leaves by its channel, in order for each conversation; what cannot leave waits in the
// outbox, and what may have left without a word is shown there as unknown.
#include "base/json.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

// Begins every line of the host, and stands in no line of an agent.
constexpr std::string_view host_mark = "\u27e6parley\u27e7 ", mark_begin = "\u27e6";

// What clients of the API called the conversation; the agent's name before it is ours.
std::string_view shown_conversation(InstanceName const& instance, AgentName const& agent,
                                    std::string_view conversation) {
    if (instance.text == "api" && conversation.size() > agent.text.size() + 1 &&
        conversation.starts_with(agent.text) && conversation[agent.text.size()] == '/')
        return conversation.substr(agent.text.size() + 1);
    return conversation;
}

std::string queued_body(OutboxEntry const& entry, bool is_notice) {
    JsonWriter body;
    body.begin('{').pair("id", entry.id.text).pair("instance", entry.instance.text);
    body.pair("conversation", shown_conversation(entry.instance, entry.agent, entry.conversation));
    if (is_notice) body.key("notice").boolean(true);
    if (!entry.attachments.empty()) write_attachments(body.key("attachments"), entry.attachments);
    return body.pair("text", entry.text).end('}').take();
}

std::string id_body(OutboxEntry const& entry, std::string_view detail) {
    JsonWriter body;
    body.begin('{').pair("id", entry.id.text);
    if (!detail.empty()) body.pair("detail", detail);
    return body.end('}').take();
}

}  // namespace

// An agent cannot speak as the host: the mark's first character is not its to use.
std::string without_mark(std::string text) {
    for (auto at = text.find(mark_begin); at != text.npos; at = text.find(mark_begin, at + 1))
        text.replace(at, mark_begin.size(), "[");
    return text;
}

std::string host_line(std::string_view text) {
    return std::string(host_mark) + std::string(text);
}

std::string to_json(OutboxEntry const& e) {
    JsonWriter out;
    out.begin('{').pair("id", e.id.text).pair("state", e.stage).pair("channel", e.instance.text);
    out.pair("conversation", e.conversation).pair("agent", e.agent.text);
    out.pair("session", e.session.text).pair("text", e.text).pair("detail", e.detail);
    if (!e.attachments.empty()) write_attachments(out.key("attachments"), e.attachments);
    out.pair("attempts", e.attempts).pair("queued", iso_time(e.queued_us));
    if (e.not_before_us) out.pair("not_before", iso_time(e.not_before_us));
    if (e.is_first) out.key("first").boolean(true);
    return out.end('}').take();
}

Draft Flow::outbox_draft(char const* kind, OutboxEntry const& entry) const {
    Draft draft;
    draft.kind = kind;
    draft.agent = entry.agent;
    draft.session = entry.session;
    draft.cause = entry.cause;
    return draft;
}

void Flow::put_outbox(Batch& batch, OutboxEntry const& e) const {
    JsonWriter out;
    out.begin('{').pair("id", e.id.text).pair("instance", e.instance.text);
    out.pair("agent", e.agent.text).pair("session", e.session.text);
    out.pair("conversation", e.conversation).pair("text", e.text).pair("stage", e.stage);
    out.pair("detail", e.detail).pair("attempts", e.attempts).pair("queued", e.queued_us);
    out.pair("cause", static_cast<std::int64_t>(e.cause)).pair("card", e.card);
    if (!e.attachments.empty()) write_attachments(out.key("attachments"), e.attachments);
    out.key("notice").boolean(e.is_notice).key("first").boolean(e.is_first);
    out.pair("not_before", e.not_before_us).end('}');
    batch.put(Table::outbox, e.id.text, out.take());
}

static OutboxEntry entry_from(json::value const& v) {
    OutboxEntry e;
    e.id = OutboxId(text_at(v, "id"));
    e.instance = InstanceName(text_at(v, "instance"));
    e.agent = AgentName(text_at(v, "agent"));
    e.session = SessionId(text_at(v, "session"));
    e.conversation = text_at(v, "conversation");
    e.text = text_at(v, "text");
    e.stage = text_at(v, "stage");
    e.detail = text_at(v, "detail");
    e.attempts = int_at(v, "attempts");
    e.queued_us = int_at(v, "queued");
    e.cause = static_cast<Seq>(int_at(v, "cause"));
    e.card = text_at(v, "card");
    e.is_notice = bool_at(v, "notice");
    e.is_first = bool_at(v, "first");
    e.not_before_us = int_at(v, "not_before");
    e.attachments = attachments_in(v, "attachments");
    return e;
}

std::optional<OutboxEntry> Flow::outbox_entry(OutboxId const& id) const {
    auto row = deps_.ledger->get(Table::outbox, id.text);
    auto value = row ? parse_json(*row) : Result<json::value>(Error(Fault::not_found, ""));
    if (!value) return {};
    return entry_from(*value);
}

std::vector<OutboxEntry> Flow::outbox() const {
    std::vector<OutboxEntry> entries;
    deps_.ledger->scan(Table::outbox, "", "", [&](std::string_view, std::string_view row) {
        if (auto value = parse_json(row)) entries.push_back(entry_from(*value));
        return entries.size() < limits::list_items;
    });
    return entries;
}

void Flow::queue_message(Change& change, Session const& session, std::string const& text,
                         bool is_notice, Seq cause, std::vector<Attachment> attachments) {
    OutboxEntry entry;
    entry.id = OutboxId(fresh_id("o-", deps_.ledger->now_us()));
    entry.instance = session.instance;
    entry.agent = session.agent;
    entry.session = session.id;
    entry.conversation = session.conversation;
    entry.is_notice = is_notice;
    entry.text = is_notice || session.instance.text == "api" ? text : without_mark(text);
    entry.queued_us = deps_.ledger->now_us();
    entry.cause = cause;
    entry.attachments = std::move(attachments);
    if (auto found = deps_.find_secret(text); !found.empty()) {
        entry.text = "(withheld: the text held the secret " + found + ")";
        deps_.trace(3, "a reply of session " + session.id.text + " held the secret " + found);
    }
    auto queued = draft("message.queued", session);
    queued.cause = cause;
    queued.body = queued_body(entry, is_notice);
    entry.cause = change.batch.record(std::move(queued));

    // The API's conversations are read from the ledger itself: queued there is delivered.
    if (session.instance.text == "api") {
        auto delivered = outbox_draft("message.delivered", entry);
        delivered.body = id_body(entry, "");
        change.batch.record(std::move(delivered));
        return;
    }
    put_in_line(change, std::move(entry));
}

void Flow::put_in_line(Change& change, OutboxEntry entry) {
    auto& line = lines_[{entry.instance.text, entry.conversation}];
    auto const* channel = this->channel(entry.instance);
    bool is_next = line.empty() && channel && channel->link() == Channel::Link::connected;
    line.push_back(entry.id);
    entry.stage = "queued";
    if (is_next) begin_send(change, entry);
    put_outbox(change.batch, entry);
}

// Its EGRESS mark, in the batch; the codes of a card are made now and leave once.
void Flow::begin_send(Change& change, OutboxEntry& entry) {
    entry.stage = "sent";
    entry.not_before_us = 0;
    ++entry.attempts;
    auto sent = outbox_draft("message.sent", entry);
    sent.body = id_body(entry, "");
    change.batch.record(std::move(sent));
    if (!entry.card.empty()) arm_card(change.batch, entry);
    change.after.push_back([this, id = entry.id] { send_now(id); });
}

// Its EGRESS mark is durable.
void Flow::send_now(OutboxId const& id) {
    auto entry = outbox_entry(id);
    auto open = entry ? channels_.find(entry->instance) : channels_.end();
    if (!entry || stopping_ || entry->stage != "sent") return;
    bool has_files = !entry->attachments.empty();
    if (open == channels_.end() || (has_files && !features_of(entry->instance).files)) {
        SendOutcome outcome;
        outcome.left = false;
        outcome.retryable = open == channels_.end();
        outcome.detail =
            outcome.retryable ? "the channel is not open" : "this channel cannot carry files";
        return sent(id, outcome);
    }
    if (auto may = may_leave(*entry); !may) {
        SendOutcome outcome;
        outcome.left = false;
        outcome.detail = "it was not sent: " + may.error().what;
        return sent(id, outcome);
    }
    Outbound message{entry->id, entry->conversation, entry->text, entry->is_notice, false, {}, {}};
    message.attachments = entry->attachments;
    message.is_markdown = !entry->is_notice && features_of(entry->instance).markdown;
    if (entry->is_notice) message.text = host_line(entry->text);
    if (auto codes = codes_.find(id.text); codes != codes_.end()) {
        auto const& [yes, no] = codes->second;
        if (features_of(entry->instance).buttons)
            message.buttons = {{"Approve", yes}, {"Deny", no}};
        else
            message.text +=
                "Write here:  approve " + yes + "\nor:  deny " + no + " and why, if you like";
    }
    open->second.channel->send(std::move(message),
                               [this, id](SendOutcome outcome) { sent(id, std::move(outcome)); });
}

void Flow::sent(OutboxId const& id, SendOutcome outcome) {
    auto entry = outbox_entry(id);
    if (!entry || stopping_) return;
    auto change = begin_change();
    auto record = [&](char const* kind) {
        auto draft = outbox_draft(kind, *entry);
        draft.body = id_body(*entry, clipped(visible(outcome.detail), 500));
        return change.batch.record(std::move(draft));
    };
    auto line = std::pair(entry->instance.text, entry->conversation);
    auto const* open = channel(entry->instance);
    auto now_us = deps_.ledger->now_us();
    auto fate = fate_of(outcome, open && open->link() == Channel::Link::connected, entry->attempts,
                        std::chrono::microseconds(now_us - entry->queued_us));
    bool again = fate.kind == Fate::Kind::again;
    entry->detail = clipped(visible(outcome.detail), 500);
    auto& news = news_[entry->instance];
    if (fate.kind == Fate::Kind::delivered) {
        news.last_out_us = now_us;
        record("message.delivered");
        change.batch.erase(Table::outbox, id.text);
    } else {
        news.last_error_us = now_us;
        news.last_error = entry->detail;
    }
    if (again) {
        // Nothing left, so it waits its turn again, first in line. What the service asked for holds
        // whatever wakes the line meanwhile.
        entry->stage = "queued";
        entry->not_before_us = outcome.retry_after.count() > 0
                                   ? now_us + std::chrono::microseconds(outcome.retry_after).count()
                                   : 0;
        put_outbox(change.batch, *entry);
    } else if (fate.kind != Fate::Kind::delivered) {
        bool is_unknown = fate.kind == Fate::Kind::unknown;
        entry->stage = is_unknown ? "unknown" : "failed";
        auto seq = record(is_unknown ? "message.unknown" : "message.failed");
        if (entry->is_first && !is_unknown) note_lost(change, *entry, seq);
        put_outbox(change.batch, *entry);
    }
    if (!entry->card.empty()) card_sent(change.batch, *entry, outcome);
    codes_.erase(id.text);
    commit(std::move(change));
    if (!entry->card.empty()) tend_cards_soon();
    auto found = lines_.find(line);
    if (again) {
        timers_["send/" + id.text] = deps_.loop->after(
            fate.wait, [this, line] { next_in_line(InstanceName(line.first), line.second); });
        return;
    }
    if (found == lines_.end()) return;
    if (!found->second.empty() && found->second.front() == id) found->second.pop_front();
    if (found->second.empty())
        lines_.erase(found);
    else
        next_in_line(InstanceName(line.first), line.second);
}

// Sends the first of a line, when its channel is there and it is not on its way already.
void Flow::next_in_line(InstanceName const& instance, std::string const& conversation) {
    auto found = lines_.find({instance.text, conversation});
    auto const* open = channel(instance);
    if (stopping_ || found == lines_.end() || found->second.empty()) return;
    if (!open || open->link() != Channel::Link::connected) return;
    auto entry = outbox_entry(found->second.front());
    if (!entry) {
        found->second.pop_front();
        return next_in_line(instance, conversation);
    }
    if (entry->stage != "queued") return;
    if (auto early_us = entry->not_before_us - deps_.ledger->now_us(); early_us > 0) {
        timers_["send/" + entry->id.text] = deps_.loop->after(
            std::chrono::microseconds(early_us) + std::chrono::milliseconds(1),
            [this, instance, conversation] { next_in_line(instance, conversation); });
        return;
    }
    auto change = begin_change();
    begin_send(change, *entry);
    put_outbox(change.batch, *entry);
    commit(std::move(change));
}

void Flow::wake_lines(InstanceName const& instance) {
    std::vector<std::string> conversations;
    for (auto const& [line, ids] : lines_)
        if (line.first == instance.text) conversations.push_back(line.second);
    for (auto const& conversation : conversations) next_in_line(instance, conversation);
}

void Flow::retry(OutboxId const& id, std::string actor, Later<> done) {
    auto entry = outbox_entry(id);
    auto answer = [&](Result<> result) {
        deps_.loop->post([done, result = std::move(result)] { done(result); });
    };
    if (!entry) return answer(Error(Fault::not_found, "no message " + id.text));
    if (entry->stage != "unknown" && entry->stage != "failed")
        return answer(Error(Fault::conflict, "the message is " + entry->stage));
    auto change = begin_change();
    entry->stage = "queued";
    entry->attempts = 0;
    entry->not_before_us = 0;
    auto queued = outbox_draft("message.queued", *entry);
    queued.actor = std::move(actor);
    queued.body = queued_body(*entry, entry->is_notice);
    change.batch.record(std::move(queued));
    put_outbox(change.batch, *entry);
    auto& line = lines_[{entry->instance.text, entry->conversation}];
    line.push_back(id);
    change.after.push_back([this, done, entry = *entry] {
        done(ok());
        next_in_line(entry.instance, entry.conversation);
    });
    commit(std::move(change));
}

void Flow::drop(OutboxId const& id, std::string actor, Later<> done) {
    auto entry = outbox_entry(id);
    if (!entry || entry->stage == "sent") {
        auto error = entry ? Error(Fault::conflict, "the message is on its way")
                           : Error(Fault::not_found, "no message " + id.text);
        return deps_.loop->post([done, error] { done(error); });
    }
    auto change = begin_change();
    auto failed = outbox_draft("message.failed", *entry);
    failed.actor = std::move(actor);
    failed.body = id_body(*entry, "dropped by the operator");
    change.batch.record(std::move(failed));
    change.batch.erase(Table::outbox, id.text);
    auto line = lines_.find({entry->instance.text, entry->conversation});
    if (line != lines_.end()) std::erase(line->second, id);
    change.after.push_back([this, done, entry = *entry] {
        done(ok());
        next_in_line(entry.instance, entry.conversation);
    });
    commit(std::move(change));
}

}  // namespace parley
