// Approvals where the person is: a card in each approver's private conversation, which shows the
// whole call and takes one decision from that person alone. Cards follow the approvals: whatever
// was decided, wherever, tend_cards() makes those that are due and closes those that are over, and
// it may be called at any time, after a crash too.
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "flow/flow.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <limits>

namespace parley {

namespace {

constexpr auto edit_again_time = std::chrono::seconds(5);

std::string place_key(InstanceName const& instance, std::string_view identity) {
    return instance.text + '/' + std::string(identity);
}

std::string card_key(ApprovalId const& id, InstanceName const& instance,
                     std::string_view identity) {
    return id.text + '/' + place_key(instance, identity);
}

// The mark of the host's own lines is shown as every character that could deceive.
std::string shown_in_chat(std::string text) {
    constexpr std::string_view mark = "\u27e6", instead = "\\u{27e6}";
    for (auto at = text.find(mark); at != text.npos; at = text.find(mark, at + instead.size()))
        text.replace(at, mark.size(), instead);
    return text;
}

// Whole lines where they fit. Nothing when it would be too many pages to be read.
std::vector<std::string> pages_of(std::string_view text) {
    std::vector<std::string> pages;
    while (!text.empty()) {
        if (pages.size() == limits::card_pages) return {};
        auto size = clipped(text, limits::card_page_bytes).size();
        if (size < text.size())
            if (auto line = text.rfind('\n', size - 1); line != text.npos) size = line + 1;
        pages.emplace_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return pages;
}

// Four characters at a time, so that a person can copy them.
std::string typed_code() {
    auto code = fresh_code(limits::card_typed_code);
    for (auto at = code.size() - 4; at > 0; at -= 4) code.insert(at, 1, '-');
    return code;
}

struct TypedDecision {
    bool approve = false;
    std::string code, reason;
};

// `approve CODE` or `deny CODE REASON`, whoever wrote it: such a line is no message to an agent.
std::optional<TypedDecision> typed_decision(std::string_view text) {
    TypedDecision decision;
    decision.approve = text.starts_with("approve ");
    if (!decision.approve && !text.starts_with("deny ")) return {};
    text.remove_prefix(text.find(' ') + 1);
    auto size = std::min(text.find_first_of(" \n"), text.size());
    decision.code = text.substr(0, size);
    if (decision.code.size() != limits::card_typed_code + limits::card_typed_code / 4 - 1)
        return {};
    for (std::size_t i = 0; i < decision.code.size(); ++i) {
        auto c = decision.code[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (i % 5 == 4 ? c != '-' : !is_plain) return {};
    }
    text.remove_prefix(std::min(size + 1, text.size()));
    decision.reason = clipped(text, 500);
    return decision;
}

std::string who(std::string_view actor) {
    auto by = parse_json(actor);
    auto type = by ? text_at(*by, "type") : std::string_view();
    if (type == "channel")
        return visible(text_at(*by, "sender")) + " on " + std::string(text_at(*by, "instance"));
    return type == "cli" ? "the command line" : type == "api" ? "the API" : "the host";
}

std::string outcome_of(Approval const& a) {
    auto id = "Approval " + a.id.text + " (" + visible(a.skill) + ") ";
    auto by = " by " + who(a.by) + " at " + iso_time(a.decided_us) + ".";
    switch (a.state) {
        case ApprovalState::approved:
        case ApprovalState::consumed:
            return id + "was approved" + by;
        case ApprovalState::denied:
            return id + "was denied" + by;
        case ApprovalState::expired:
            return id + "expired: nobody decided in time. It was not run.";
        default:
            return id + "is void (" + name_of(a.state) + "). It was not run.";
    }
}

}  // namespace

ChannelFeatures Flow::features_of(InstanceName const& instance) const {
    auto channel = config_->channels.find(instance);
    auto const* plugin = channel == config_->channels.end()
                             ? nullptr
                             : deps_.plugins->usable(channel->second.plugin);
    return plugin ? plugin->file->manifest().channel : ChannelFeatures{};
}

// Those of the session's own instance; where it has none, those of the instances to notify.
std::vector<Flow::Approver> Flow::approvers_of(Approval const& approval) const {
    std::vector<Approver> all;
    auto add = [&](InstanceName const& name) {
        auto channel = config_->channels.find(name);
        if (channel == config_->channels.end()) return;
        for (auto const& identity : channel->second.approvers) all.push_back({name, identity});
    };
    if (auto session = deps_.sessions->find(approval.session)) add(session->instance);
    if (all.empty())
        for (auto const& name : config_->approvals_notify) add(name);
    return all;
}

std::optional<Flow::Card> Flow::card(std::string_view key) const {
    auto row = deps_.ledger->get(Table::card, key);
    auto value = row ? parse_json(*row) : Result<json::value>(Error(Fault::not_found, ""));
    if (!value) return {};
    Card card;
    card.key = key;
    card.approval = ApprovalId(text_at(*value, "approval"));
    card.digest = text_at(*value, "digest");
    card.instance = InstanceName(text_at(*value, "instance"));
    card.identity = text_at(*value, "identity");
    card.conversation = text_at(*value, "conversation");
    card.text = text_at(*value, "text");
    card.yes = text_at(*value, "yes");
    card.no = text_at(*value, "no");
    card.message = text_at(*value, "message");
    card.is_delivered = bool_at(*value, "delivered");
    card.is_decidable = bool_at(*value, "decidable");
    if (auto const* pages = member(*value, "pages"); pages && pages->is_array())
        for (auto const& page : pages->get_array())
            if (page.is_string()) card.pages.emplace_back(std::string(page.get_string()));
    return card;
}

void Flow::put_card(Batch& batch, Card const& card) const {
    JsonWriter out;
    out.begin('{').pair("approval", card.approval.text).pair("digest", card.digest);
    out.pair("instance", card.instance.text).pair("identity", card.identity);
    out.pair("conversation", card.conversation).pair("text", card.text);
    out.pair("yes", card.yes).pair("no", card.no).pair("message", card.message);
    out.key("delivered").boolean(card.is_delivered).key("decidable").boolean(card.is_decidable);
    out.key("pages").begin('[');
    for (auto const& page : card.pages) out.string(page.text);
    batch.put(Table::card, card.key, out.end(']').end('}').take());
}

std::vector<Flow::Card> Flow::cards() const {
    std::vector<std::string> keys;
    deps_.ledger->scan(Table::card, "", "", [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
    });
    std::vector<Card> all;
    for (auto const& key : keys)
        if (auto one = card(key)) all.push_back(std::move(*one));
    return all;
}

// A code is good for one verdict on one approval as it was shown, from one person in one place.
std::string Flow::code_hash(Card const& card, bool approve, std::string_view code) const {
    Hasher hash("parley.card/1");
    hash.field(std::string_view(deps_.code_key)).field(std::string_view(card.key));
    hash.field(std::string_view(card.digest)).field(std::string_view(card.conversation));
    hash.field(std::int64_t(approve)).field(code);
    return hex(hash.done());
}

void Flow::tend_cards_soon() {
    if (std::exchange(tending_, true) || stopping_) return;
    deps_.loop->post([this] { tend_cards(); });
}

void Flow::tend_cards() {
    tending_ = false;
    if (stopping_ || !recovered_) return;  // the lines of the outbox must stand first
    for (auto const& card : cards()) {
        auto approval = deps_.approvals->find(card.approval);
        if (!approval || approval->state != ApprovalState::pending) close_card(card, approval);
    }
    for (auto const& approval : deps_.approvals->expired(std::numeric_limits<std::int64_t>::max()))
        if (approval.state == ApprovalState::pending)
            for (auto const& approver : approvers_of(approval)) offer(approval, approver);
}

void Flow::offer(Approval const& approval, Approver const& approver) {
    Card card;
    card.key = card_key(approval.id, approver.instance, approver.identity);
    if (deps_.ledger->get(Table::card, card.key)) return;
    auto place = deps_.ledger->get(Table::place, place_key(approver.instance, approver.identity));
    if (!place) return;
    card.approval = approval.id;
    card.digest = approval.digest;
    card.instance = approver.instance;
    card.identity = approver.identity;
    card.conversation = *place;

    auto pages = pages_of(shown_in_chat(approval.shown));
    bool holds_secret = !deps_.find_secret(approval.shown).empty();
    card.is_decidable = !pages.empty() && !holds_secret;
    if (!card.is_decidable) {
        auto why = holds_secret ? std::string("it holds a secret")
                                : "it is " + std::to_string(approval.shown.size()) + " bytes long";
        pages = {"agent " + visible(approval.agent.text) + " wants " + visible(approval.skill) +
                 ", which cannot be shown whole here, since " + why +
                 ".\nLook at it with: parley approval show " + approval.id.text + "\n"};
    }
    pages.back() += "expires " + iso_time(approval.expires_us) + "\n";

    auto change = begin_change();
    for (std::size_t i = 0; i < pages.size(); ++i) {
        OutboxEntry entry;
        // Ids are in order of time, and after a restart a line is read in the order of its ids.
        entry.id =
            OutboxId(fresh_id("o-", deps_.ledger->now_us() + static_cast<std::int64_t>(i) * 1000));
        entry.instance = card.instance;
        entry.conversation = card.conversation;
        entry.agent = approval.agent;
        entry.text = "Approval " + approval.id.text;
        if (pages.size() > 1)
            entry.text += ", page " + std::to_string(i + 1) + " of " + std::to_string(pages.size());
        entry.text += "\n" + pages[i];
        entry.is_notice = true;
        entry.queued_us = deps_.ledger->now_us();
        entry.cause = approval.requested_seq;
        auto queued = outbox_draft("message.queued", entry);
        JsonWriter body;
        body.begin('{').pair("id", entry.id.text).pair("instance", entry.instance.text);
        body.pair("conversation", entry.conversation).pair("approval", approval.id.text);
        body.key("notice").boolean(true);
        queued.body = body.pair("text", entry.text).end('}').take();
        entry.cause = change.batch.record(std::move(queued));
        card.pages.push_back(entry.id);
        if (i + 1 == pages.size()) {
            entry.card = card.key;
            card.text = entry.text;
            put_card(change.batch, card);
        }
        put_in_line(change, std::move(entry));
    }
    commit(std::move(change));
}

// The codes are made when the card leaves, and again when it must leave again.
void Flow::arm_card(Batch& batch, OutboxEntry const& entry) {
    auto found = card(entry.card);
    if (!found || !found->is_decidable) return;
    bool has_buttons = features_of(entry.instance).buttons;
    Codes codes;
    codes.yes = has_buttons ? fresh_code(limits::card_button_code) : typed_code();
    codes.no = has_buttons ? fresh_code(limits::card_button_code) : codes.yes;
    found->yes = code_hash(*found, true, codes.yes);
    found->no = code_hash(*found, false, codes.no);
    put_card(batch, *found);
    codes_[entry.id.text] = std::move(codes);
}

void Flow::card_sent(Batch& batch, OutboxEntry const& entry, SendOutcome const& outcome) {
    auto found = card(entry.card);
    if (!found || !outcome.delivered) return;
    found->is_delivered = true;
    if (!outcome.ids.empty()) found->message = outcome.ids.back();
    put_card(batch, *found);
}

// The approval is no longer pending. What was not sent need not be; what may have been is ended
// where the person sees it.
void Flow::close_card(Card const& card, std::optional<Approval> const& approval) {
    auto last = outbox_entry(card.pages.empty() ? OutboxId() : card.pages.back());
    if ((last && last->stage == "sent") || editing_.contains(card.key)) return;
    auto outcome = approval ? outcome_of(*approval)
                            : "Approval " + card.approval.text + " is gone. It was not run.";
    if (card.is_delivered && !card.message.empty() && features_of(card.instance).edit)
        return edit_card(card, outcome);
    bool was_seen = card.is_delivered;
    auto change = begin_change();
    for (auto const& page : card.pages) {
        auto entry = outbox_entry(page);
        was_seen |= !entry || entry->stage == "sent" || entry->stage == "unknown";
        if (!entry || entry->stage == "sent") continue;
        auto dropped = outbox_draft("message.failed", *entry);
        JsonWriter body;
        body.begin('{').pair("id", entry->id.text);
        dropped.body = body.pair("detail", "the approval is over").end('}').take();
        change.batch.record(std::move(dropped));
        change.batch.erase(Table::outbox, page.text);
        if (auto line = lines_.find({entry->instance.text, entry->conversation});
            line != lines_.end())
            std::erase(line->second, page);
    }
    change.batch.erase(Table::card, card.key);
    commit(std::move(change));
    if (was_seen)
        tell_there(card.instance, card.conversation, approval ? approval->agent : AgentName(),
                   outcome, approval ? approval->requested_seq : 0);
    next_in_line(card.instance, card.conversation);
}

// An edit may be repeated without harm, so it is, until the service took it or will not.
void Flow::edit_card(Card const& card, std::string const& outcome) {
    auto const* open = channel(card.instance);
    if (!open || open->link() != Channel::Link::connected) return;
    editing_.insert(card.key);
    auto text = host_line(outcome + "\n\n" + card.text);
    channels_.at(card.instance)
        .channel->edit(
            card.conversation, card.message, text, [this, card, outcome](SendOutcome edited) {
                editing_.erase(card.key);
                if (stopping_) return;
                if (!edited.delivered && edited.retryable) {
                    timers_["edit/" + card.key] =
                        deps_.loop->after(edit_again_time, [this] { tend_cards(); });
                    return;
                }
                auto change = begin_change();
                Draft draft;
                draft.kind = edited.delivered ? "message.edited" : "message.edit_failed";
                JsonWriter body;
                body.begin('{').pair("id", card.pages.back().text);
                draft.body = body.pair("text", outcome).end('}').take();
                change.batch.record(std::move(draft));
                change.batch.erase(Table::card, card.key);
                commit(std::move(change));
                timers_.erase("edit/" + card.key);
                if (!edited.delivered)
                    tell_there(card.instance, card.conversation, AgentName(), outcome, 0);
            });
}

void Flow::tell_there(InstanceName const& instance, std::string const& conversation,
                      AgentName const& agent, std::string const& text, Seq cause) {
    auto change = begin_change();
    Session there;  // a line to a person, of no session
    there.instance = instance;
    there.conversation = conversation;
    there.agent = agent;
    queue_message(change, there, text, true, cause);
    commit(std::move(change));
}

// Where this approver was last alone with us; a card that waited for that leaves now.
void Flow::note_place(Inbound const& message, std::string const& identity) {
    auto key = place_key(message.instance, identity);
    if (deps_.ledger->get(Table::place, key) == message.conversation) return;
    auto change = begin_change();
    Draft draft;
    draft.kind = "approver.reachable";
    draft.actor = channel_actor(message.instance, identity);
    JsonWriter body;
    body.begin('{').pair("instance", message.instance.text).pair("approver", identity);
    draft.body = body.pair("conversation", message.conversation).end('}').take();
    change.batch.record(std::move(draft));
    change.batch.put(Table::place, key, message.conversation);
    commit(std::move(change));
    tend_cards_soon();
}

// Is it a decision, or looks like one? Then it passes here and reaches no agent. Only the code of
// an open card, from the person and the private conversation that it was made for, does anything.
bool Flow::judge(Inbound const& message, std::function<void()> const& taken) {
    Sender sender{message.sender_ids, message.sender_name};
    auto identity = admitted_as(sender, config_->channels.at(message.instance).approvers);
    if (message.is_private && !identity.empty()) note_place(message, identity);

    bool is_press = message.kind == Inbound::Kind::press;
    auto typed = message.kind == Inbound::Kind::message ? typed_decision(message.text)
                                                        : std::optional<TypedDecision>();
    if (!is_press && !typed) return false;

    auto over = [this, instance = message.instance, cursor = message.cursor, taken] {
        if (cursor.empty()) return taken();
        auto change = begin_change();
        change.batch.put(Table::cursor, instance.text, cursor);
        change.after.push_back(taken);
        commit(std::move(change));
    };
    std::optional<Card> card;
    Approvals::Decision decision;
    if (message.is_private && !identity.empty())
        for (auto& one : cards()) {
            if (one.yes.empty() || one.instance != message.instance || one.identity != identity ||
                one.conversation != message.conversation)
                continue;
            auto const& code = is_press ? message.text : typed->code;
            bool yes = code_hash(one, true, code) == one.yes && (is_press || typed->approve);
            bool no = code_hash(one, false, code) == one.no && (is_press || !typed->approve);
            if (!yes && !no) continue;
            decision.approve = yes;
            card = std::move(one);
            break;
        }
    if (!card) {
        auto id = sender.ids.empty() ? "?" : sender.ids.front();
        deps_.gate->count_refusal(message.instance, {{"decision:" + id}, ""});
        over();
        return true;
    }
    decision.id = card->approval;
    decision.digest = card->digest;
    decision.actor = channel_actor(message.instance, identity);
    if (typed) {
        decision.reason = is_utf8(typed->reason) ? typed->reason : visible(typed->reason);
        deps_.mask(decision.reason);
    }
    decide(std::move(decision), [this, card = *card, over](Result<Approval> decided) {
        if (!decided)
            tell_there(card.instance, card.conversation, AgentName(),
                       "Not done: " + decided.error().what + ".", 0);
        over();
    });
    return true;
}

std::string Flow::reach(Approval const& approval) const {
    JsonWriter out;
    out.begin('[');
    if (approval.state == ApprovalState::pending)
        for (auto const& [instance, identity] : approvers_of(approval)) {
            out.begin('{').pair("channel", instance.text).pair("approver", identity);
            auto found = card(card_key(approval.id, instance, identity));
            if (!found) {
                out.pair("state", "unreachable");
                out.pair("why", "they have not written to the bot in private yet").end('}');
                continue;
            }
            auto entry = outbox_entry(found->pages.back());
            out.pair("state", found->is_delivered ? "delivered" : entry ? entry->stage : "dropped");
            out.pair("conversation", found->conversation);
            if (!found->is_decidable) out.pair("why", "the call cannot be shown whole there");
            out.end('}');
        }
    return out.end(']').take();
}

}  // namespace parley
