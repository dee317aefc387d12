#pragma once

// Sessions: what each is doing, what waits in its inbox, which conversation it owns, and what its
// agent will see next. All of it is rows of the ledger; a session that waits is nothing but rows.
// Nothing here acts or decides whether something may happen.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "ledger/ledger.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley {

enum class SessionState {
    running,            // a turn is under way
    idle,               // yielded, open todos
    dormant,            // yielded, nothing pending
    awaiting_human,     // asked a question
    awaiting_peer,      // asked another agent
    awaiting_approval,  // a call waits for a person
    done,               // finished or cancelled; its conversation will get a new session
    stopped,            // by budget, operator, failure, secret or unknown outcome; see `reason`
};
char const* name_of(SessionState state);
std::optional<SessionState> state_named(std::string_view name);

struct Session {
    SessionId id;
    AgentName agent;
    InstanceName instance;
    std::string conversation;
    SessionState state = SessionState::dormant;
    std::string reason, detail;  // of stopped: budget, operator, failure, secret, outcome_unknown
    std::int64_t created_us = 0, updated_us = 0;
    std::int64_t turns = 0, cost_nano_usd = 0, tokens_in = 0, tokens_out = 0;
    std::int64_t next_call = 1;
    // Context items [first_item, next_item) are what the agent sees; older ones stay for replay.
    std::int64_t first_item = 0, next_item = 0, turn_item = 0;
    std::int64_t waiting = 0;         // messages in the inbox
    std::int64_t notes = 0;           // what it will read with the next message, which wakes it
    std::string last_actor;           // JSON: who wrote last, for records made on their behalf
    Seq cause = 0;                    // record that set the present work off
    // While a turn is open: the machine's state and the snapshot that the turn keeps.
    std::string turn;                 // JSON of Turn, or empty
    std::string base;                 // digest of {system, skills}
    std::string model;                // named model
    std::string attempt;              // JSON of the model call in flight, or empty
    // Named models: who gave the last answer, and in whose place if it was a fallback.
    std::string answered_by, fallback_of;

    bool has_turn() const { return !turn.empty(); }
};

struct InboxItem {
    Seq seq = 0;          // of message.received
    std::string fragment; // as the model will see it
    std::string actor;    // JSON
};

class Sessions {
public:
    explicit Sessions(Ledger const& ledger) : ledger_(ledger) {}

    // Hot sessions are kept, bounded; others are read. Null when there is none.
    std::shared_ptr<Session const> find(SessionId const& id) const;
    // The session that owns the conversation, or nothing.
    std::optional<SessionId> owner(InstanceName const& instance, std::string_view conversation) const;

    // --- into a batch ---
    void save(Batch& batch, Session session);  // also keeps the list of sessions with open work
    void bind(Batch& batch, Session const& session);
    void queue(Batch& batch, Session& session, InboxItem const& item);
    // Something that the agent reads with the next message, and that wakes nobody by itself.
    void note(Batch& batch, Session& session, Seq seq, std::string fragment);
    // Takes all that waits, notes included, in order. An item without an actor is a note.
    std::vector<InboxItem> take_inbox(Batch& batch, Session& session);
    // Adds one context item; `fragment` is a JSON object, final.
    void add_item(Batch& batch, Session& session, std::string fragment);
    // The arguments of an open call, exactly as they came.
    void put_arguments(Batch& batch, SessionId const& id, CallId const& call, std::string arguments);
    std::string arguments(SessionId const& id, CallId const& call) const;
    void drop_arguments(Batch& batch, SessionId const& id, std::vector<CallId> const& calls);

    // Fragments [first, last) joined by commas.
    std::string fragments(SessionId const& id, std::int64_t first, std::int64_t last) const;

    // Sessions whose turn was under way (not parked) when the host went down.
    std::vector<SessionId> open_work() const;
    // In order of creation, from after `after` on.
    void list(std::string_view after, std::function<bool(Session const&)> const& each) const;

private:
    struct Hot {
        std::shared_ptr<Session const> session;
        // Fragments from item `first` on, those of the batch in hand included; may be empty.
        std::vector<std::string> items;
        std::int64_t first = 0;
        std::size_t bytes = 0;
        std::list<std::string>::iterator place;
    };
    Hot& heat(std::string const& id) const;
    void read_items(Hot& hot, SessionId const& id, std::int64_t first, std::int64_t last) const;
    void cool() const;

    Ledger const& ledger_;
    mutable std::unordered_map<std::string, Hot> hot_;
    mutable std::list<std::string> order_;  // most recently used first
    mutable std::size_t hot_bytes_ = 0;
};

// The API's view of a session.
std::string to_json(Session const& session);
// {"type":"channel","instance":…,"sender":…}
std::string channel_actor(InstanceName const& instance, std::string_view sender);

// Context fragments.
std::string user_fragment(std::string_view text, std::string_view name);
std::string skill_fragment(CallId const& call, std::string_view skill, std::string_view content,
                           bool error);
// An answer's fragment with what its provider wants back; `owner` is a word without quotes that
// says whose it is.
std::string with_state(std::string fragment, std::string_view owner, std::string_view state);
// Fragments, one or several joined by commas, without the states of all others; "" owns none.
std::string with_states_of(std::string_view owner, std::string fragments);

}  // namespace parley
