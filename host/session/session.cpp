#include "session/session.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"

#include <boost/json/value.hpp>

namespace parley {

namespace {

constexpr SessionState states[] = {SessionState::running,       SessionState::idle,
                                   SessionState::dormant,       SessionState::awaiting_human,
                                   SessionState::awaiting_peer, SessionState::awaiting_approval,
                                   SessionState::done,          SessionState::stopped};

std::string big_endian(std::uint64_t number) {
    std::string bytes(8, '\0');
    for (int i = 7; i >= 0; --i, number >>= 8) bytes[i] = static_cast<char>(number & 255);
    return bytes;
}

std::string item_key(SessionId const& id, std::int64_t number) {
    return id.text + '/' + big_endian(static_cast<std::uint64_t>(number));
}

std::string binding_key(InstanceName const& instance, std::string_view conversation) {
    return instance.text + '/' + std::string(conversation);
}

std::string encode(Session const& s) {
    JsonWriter out;
    out.begin('{').pair("id", s.id.text).pair("agent", s.agent.text);
    out.pair("instance", s.instance.text).pair("conversation", s.conversation);
    out.pair("state", name_of(s.state));
    if (!s.reason.empty()) out.pair("reason", s.reason).pair("detail", s.detail);
    out.pair("created", s.created_us).pair("updated", s.updated_us);
    out.pair("turns", s.turns).pair("cost", s.cost_nano_usd);
    out.pair("in", s.tokens_in).pair("out", s.tokens_out).pair("next_call", s.next_call);
    out.pair("first_item", s.first_item).pair("next_item", s.next_item);
    out.pair("turn_item", s.turn_item).pair("waiting", s.waiting);
    if (s.notes) out.pair("notes", s.notes);
    out.pair("cause", static_cast<std::int64_t>(s.cause));
    if (!s.last_actor.empty()) out.key("actor").raw(s.last_actor);
    if (!s.answered_by.empty()) out.pair("answered_by", s.answered_by);
    if (!s.fallback_of.empty()) out.pair("fallback_of", s.fallback_of);
    if (s.has_turn()) {
        out.key("turn").raw(s.turn);
        out.pair("base", s.base).pair("model", s.model);
        if (!s.attempt.empty()) out.key("attempt").raw(s.attempt);
    }
    return out.end('}').take();
}

std::string raw_member(json::value const& value, std::string_view key) {
    auto const* found = member(value, key);
    return found ? to_text(*found) : std::string();
}

std::optional<Session> decode(std::string_view text) {
    auto parsed = parse_json(text);
    if (!parsed) return {};
    auto const& v = *parsed;
    Session s;
    s.id = SessionId(text_at(v, "id"));
    s.agent = AgentName(text_at(v, "agent"));
    s.instance = InstanceName(text_at(v, "instance"));
    s.conversation = text_at(v, "conversation");
    s.state = state_named(text_at(v, "state")).value_or(SessionState::stopped);
    s.reason = text_at(v, "reason");
    s.detail = text_at(v, "detail");
    s.created_us = int_at(v, "created");
    s.updated_us = int_at(v, "updated");
    s.turns = int_at(v, "turns");
    s.cost_nano_usd = int_at(v, "cost");
    s.tokens_in = int_at(v, "in");
    s.tokens_out = int_at(v, "out");
    s.next_call = int_at(v, "next_call", 1);
    s.first_item = int_at(v, "first_item");
    s.next_item = int_at(v, "next_item");
    s.turn_item = int_at(v, "turn_item");
    s.waiting = int_at(v, "waiting");
    s.notes = int_at(v, "notes");
    s.cause = static_cast<Seq>(int_at(v, "cause"));
    s.last_actor = raw_member(v, "actor");
    s.turn = raw_member(v, "turn");
    s.base = text_at(v, "base");
    s.model = text_at(v, "model");
    s.attempt = raw_member(v, "attempt");
    s.answered_by = text_at(v, "answered_by");
    s.fallback_of = text_at(v, "fallback_of");
    return s;
}

}  // namespace

char const* name_of(SessionState state) {
    switch (state) {
        case SessionState::running:
            return "Running";
        case SessionState::idle:
            return "Idle";
        case SessionState::dormant:
            return "Dormant";
        case SessionState::awaiting_human:
            return "AwaitingHuman";
        case SessionState::awaiting_peer:
            return "AwaitingPeer";
        case SessionState::awaiting_approval:
            return "AwaitingApproval";
        case SessionState::done:
            return "Done";
        case SessionState::stopped:
            return "Stopped";
    }
    return "Stopped";
}

std::optional<SessionState> state_named(std::string_view name) {
    for (auto state : states)
        if (name == name_of(state)) return state;
    return {};
}

Sessions::Hot& Sessions::heat(std::string const& id) const {
    auto [place, is_new] = hot_.try_emplace(id);
    if (is_new) {
        order_.push_front(id);
        place->second.place = order_.begin();
    } else {
        order_.splice(order_.begin(), order_, place->second.place);
    }
    return place->second;
}

void Sessions::cool() const {
    while (order_.size() > 1 &&
           (order_.size() > limits::hot_sessions || hot_bytes_ > limits::hot_session_bytes)) {
        auto coldest = hot_.find(order_.back());
        hot_bytes_ -= coldest->second.bytes;
        hot_.erase(coldest);
        order_.pop_back();
    }
}

std::shared_ptr<Session const> Sessions::find(SessionId const& id) const {
    if (auto found = hot_.find(id.text); found != hot_.end() && found->second.session)
        return heat(id.text).session;
    auto row = ledger_.get(Table::session, id.text);
    if (!row) return nullptr;
    auto session = decode(*row);
    if (!session) return nullptr;
    auto& hot = heat(id.text);
    hot.session = std::make_shared<Session const>(std::move(*session));
    auto kept = hot.session;
    cool();
    return kept;
}

std::optional<SessionId> Sessions::owner(InstanceName const& instance,
                                         std::string_view conversation) const {
    auto row = ledger_.get(Table::binding, binding_key(instance, conversation));
    if (!row) return {};
    return SessionId(std::move(*row));
}

void Sessions::save(Batch& batch, Session session) {
    batch.put(Table::session, session.id.text, encode(session));
    // A parked session has no open work: it wakes by a decision, not by a restart.
    auto& hot = heat(session.id.text);
    bool works = session.state == SessionState::running;
    bool worked = hot.session && hot.session->state == SessionState::running;
    if (works && !worked) batch.put(Table::active, session.id.text, "");
    if (!works && (worked || !hot.session)) batch.erase(Table::active, session.id.text);
    hot.session = std::make_shared<Session const>(std::move(session));
    cool();
}

void Sessions::bind(Batch& batch, Session const& session) {
    batch.put(Table::binding, binding_key(session.instance, session.conversation), session.id.text);
}

void Sessions::queue(Batch& batch, Session& session, InboxItem const& item) {
    JsonWriter out;
    out.begin('{').key("fragment").raw(item.fragment).key("actor").raw(item.actor).end('}');
    batch.put(Table::inbox, session.id.text + '/' + big_endian(item.seq), out.take());
    ++session.waiting;
}

void Sessions::note(Batch& batch, Session& session, Seq seq, std::string fragment) {
    JsonWriter out;
    out.begin('{').key("fragment").raw(fragment).end('}');
    batch.put(Table::inbox, session.id.text + '/' + big_endian(seq), out.take());
    ++session.notes;
}

std::vector<InboxItem> Sessions::take_inbox(Batch& batch, Session& session) {
    std::vector<InboxItem> items;
    auto prefix = session.id.text + '/';
    std::vector<std::string> keys;
    ledger_.scan(Table::inbox, prefix, "", [&](std::string_view key, std::string_view value) {
        keys.emplace_back(key);
        if (auto parsed = parse_json(value)) {
            InboxItem item;
            for (char c : key.substr(prefix.size()))
                item.seq = item.seq << 8 | static_cast<unsigned char>(c);
            item.fragment = raw_member(*parsed, "fragment");
            item.actor = raw_member(*parsed, "actor");
            items.push_back(std::move(item));
        }
        return true;
    });
    for (auto const& key : keys) batch.erase(Table::inbox, key);
    session.waiting = session.notes = 0;
    return items;
}

// Fills the cache with items that are rows already.
void Sessions::read_items(Hot& hot, SessionId const& id, std::int64_t first,
                          std::int64_t last) const {
    hot_bytes_ -= hot.bytes;
    hot.items.clear();
    hot.bytes = 0;
    hot.first = first;
    if (first < last)
        ledger_.scan(Table::item, id.text + '/', item_key(id, first),
                     [&](std::string_view, std::string_view fragment) {
                         hot.items.emplace_back(fragment);
                         hot.bytes += fragment.size();
                         return first + static_cast<std::int64_t>(hot.items.size()) < last;
                     });
    hot_bytes_ += hot.bytes;
}

void Sessions::add_item(Batch& batch, Session& session, std::string fragment) {
    auto& hot = heat(session.id.text);
    auto end = hot.first + static_cast<std::int64_t>(hot.items.size());
    if (hot.first > session.first_item || end != session.next_item)
        read_items(hot, session.id, session.first_item, session.next_item);
    hot.items.push_back(fragment);
    hot.bytes += fragment.size();
    hot_bytes_ += fragment.size();
    batch.put(Table::item, item_key(session.id, session.next_item), std::move(fragment));
    ++session.next_item;
}

void Sessions::put_arguments(Batch& batch, SessionId const& id, CallId const& call,
                             std::string arguments) {
    batch.put(Table::call, id.text + '/' + call.text, std::move(arguments));
}

std::string Sessions::arguments(SessionId const& id, CallId const& call) const {
    return ledger_.get(Table::call, id.text + '/' + call.text).value_or("");
}

void Sessions::drop_arguments(Batch& batch, SessionId const& id, std::vector<CallId> const& calls) {
    for (auto const& call : calls) batch.erase(Table::call, id.text + '/' + call.text);
}

std::string Sessions::fragments(SessionId const& id, std::int64_t first, std::int64_t last) const {
    auto& hot = heat(id.text);
    auto end = hot.first + static_cast<std::int64_t>(hot.items.size());
    // What a compaction has put behind it is read when asked for and not kept in the cache's place.
    Hot old;
    bool is_hot = first >= hot.first && last <= end;
    if (!is_hot) read_items(old, id, first, last);
    auto const& from = is_hot ? hot : old;
    std::string joined;
    joined.reserve(from.bytes + from.items.size());
    for (auto number = first; number < last; ++number) {
        auto at = static_cast<std::size_t>(number - from.first);
        if (at >= from.items.size()) break;
        if (number > first) joined += ',';
        joined += from.items[at];
    }
    if (!is_hot) {
        hot_bytes_ -= old.bytes;
        // A session that was cold becomes hot when its whole working context was read.
        auto const session = hot.session;
        if (session && session->first_item == first && session->next_item == last &&
            hot.items.empty()) {
            hot_bytes_ += old.bytes;
            hot.items = std::move(old.items);
            hot.first = first;
            hot.bytes = old.bytes;
        }
    }
    cool();
    return joined;
}

std::vector<SessionId> Sessions::open_work() const {
    std::vector<SessionId> ids;
    ledger_.scan(Table::active, "", "", [&](std::string_view key, std::string_view) {
        ids.emplace_back(key);
        return true;
    });
    return ids;
}

void Sessions::list(std::string_view after, std::function<bool(Session const&)> const& each) const {
    auto from = after.empty() ? std::string() : std::string(after) + '\0';
    ledger_.scan(Table::session, "", from, [&](std::string_view, std::string_view row) {
        auto session = decode(row);
        return !session || each(*session);
    });
}

std::string to_json(Session const& s) {
    JsonWriter out;
    out.begin('{').pair("id", s.id.text).pair("agent", s.agent.text);
    out.pair("state", name_of(s.state));
    if (!s.reason.empty()) out.pair("reason", s.reason).pair("detail", s.detail);
    out.pair("channel", s.instance.text).pair("conversation", s.conversation);
    out.pair("created", iso_time(s.created_us)).pair("updated", iso_time(s.updated_us));
    out.pair("turns", s.turns).key("cost_usd").usd(s.cost_nano_usd);
    out.pair("tokens_in", s.tokens_in).pair("tokens_out", s.tokens_out);
    out.pair("waiting", s.waiting);
    if (!s.answered_by.empty()) out.pair("answered_by", s.answered_by);
    if (!s.fallback_of.empty()) out.pair("fallback_of", s.fallback_of);
    return out.end('}').take();
}

std::string channel_actor(InstanceName const& instance, std::string_view sender) {
    JsonWriter out;
    out.begin('{').pair("type", "channel").pair("instance", instance.text);
    return out.pair("sender", sender).end('}').take();
}

std::string user_fragment(std::string_view text, std::string_view name) {
    JsonWriter out;
    out.begin('{').pair("role", "user").pair("text", text);
    if (!name.empty()) out.pair("name", name);
    return out.end('}').take();
}

std::string skill_fragment(CallId const& call, std::string_view skill, std::string_view content,
                           bool error) {
    JsonWriter out;
    out.begin('{').pair("role", "skill").pair("call", call.text).pair("name", skill);
    return out.pair("content", content).key("error").boolean(error).end('}').take();
}

// A state is the last member of its fragment. Inside a string this text can not stand: there a
// quote follows a backslash, and a quote that ends a string is not followed by a letter.
constexpr std::string_view state_opening = R"(,"state":{"of":")";

std::string with_state(std::string fragment, std::string_view owner, std::string_view state) {
    fragment.pop_back();
    fragment.append(state_opening).append(owner).append(R"(","value":)");
    append_quoted(fragment, state);
    return fragment += "}}";
}

std::string with_states_of(std::string_view owner, std::string fragments) {
    constexpr std::string_view before_value = R"(","value":")";
    std::size_t at = 0;
    while ((at = fragments.find(state_opening, at)) != std::string::npos) {
        auto name = at + state_opening.size(), name_end = fragments.find(before_value, name);
        auto end = std::min(name_end, fragments.size() - before_value.size()) + before_value.size();
        while (end < fragments.size() && fragments[end] != '"')
            end += fragments[end] == '\\' ? 2 : 1;
        end = std::min(end + 2, fragments.size());
        bool is_ours = std::string_view(fragments).substr(name, name_end - name) == owner;
        if (is_ours && !owner.empty())
            at = end;
        else
            fragments.erase(at, end - at);
    }
    return fragments;
}

}  // namespace parley
