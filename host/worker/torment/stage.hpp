#pragma once

// A host that is played: it loads the plugin, lends it tables whose ends it guards, answers its
// requests by a script, and notes what a real host would not have taken. One thread at a time calls
// in; the plugin may call back from any.
#include "link.hpp"
#include "script.hpp"

#include <parley/plugin.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace parley::worker {

// How the host behaves. The default is that of a friend.
struct Manner {
    enum class World { good, failing, garbled, silent, stalling } world = World::good;
    enum class Bytes { scribbled, unmapped, kept } bytes = Bytes::scribbled;
    bool moves_threads = false;  // every call in comes on a new thread
    bool only_required = false;  // what the manifest calls optional is not there
    bool is_newer = false;       // a larger table, of a later minor
    bool pauses = false;         // every item is taken with PARLEY_PAUSE
    bool forgets = false;        // calls are over as soon as they have begun
    std::uint64_t starves = 0;   // this allocation of every call in, counted from 1, fails
    std::uint64_t refuses = 0;   // this request of a service or emit, counted from 1, is refused
};

class Stage {
public:
    Stage(Link& link, Script const& script);

    Manner manner;

    // Loads the file. False, with a finding, when that is impossible.
    bool load(std::string const& path);
    // Makes the instance and asks it for what the manifest declares.
    parley_status create();
    void destroy();

    parley_entry const* entry() const { return entry_; }
    void const* ask(char const* id);  // get_interface
    bool offers(std::uint32_t verb) const { return function(verb) != nullptr; }

    // Begins a call; 0 when the plugin does not offer the verb.
    parley_id start(Request const& request, std::uint32_t timeout_ms = 0);
    void cancel(parley_id call);
    // Delivers one event; false when there is none. Timers fire when nothing else is to do.
    bool step();
    // Events until the call has ended, nothing happens any more, or `most` were delivered.
    void pump(parley_id call, std::size_t most = events_most);
    // Waits for threads of the plugin. False when the call is still open.
    bool wait_for_end(parley_id call, unsigned milliseconds);
    bool is_open(parley_id call);
    bool succeeded(parley_id call);
    // Status, items and result of a call that has ended, put together.
    std::string transcript(parley_id call);
    std::uint64_t requests_made() const { return requests_made_; }
    // Webhooks of this call that came and have no answer.
    std::size_t unanswered(parley_id call);

    // One call into the plugin, watched: who does not come back is told of.
    void enter(std::function<void()> const& work);

    void finding(std::string_view rule, std::string const& text);
    void remark(std::string_view rule, std::string const& text);

    static constexpr std::size_t events_most = 256;  // of one call: a channel's run has no end

private:
    struct Call {
        std::uint32_t verb = 0;
        bool ended = false, refused = false, paused = false;
        parley_status status = PARLEY_OK;
        std::int64_t credit = 0;
        std::size_t beyond = 0;  // items that came although it was told to pause
        std::string said;        // by items and result, as far as a comparison needs it
    };
    struct Operation {
        parley_id call = 0;
        std::uint32_t service = 0;
        std::uint64_t due = 0;                  // of a timer
        std::set<std::uint64_t> requests = {};  // of a listener: webhooks that wait for an answer
    };
    struct Event {
        parley_id operation = 0;
        std::uint32_t kind = 0;
        std::string bytes;
        bool is_last = false;
        std::uint64_t request = 0;  // of a webhook
    };
    friend struct Lent;

    parley_start_fn function(std::uint32_t verb) const;
    parley_status request(parley_id call, std::uint32_t service, parley_id* operation);
    void queue(parley_id operation, std::uint32_t kind, std::string bytes, bool is_last);
    void answer_http(parley_id operation, std::string_view request);
    void answer_stream(parley_id operation);
    void answer_blob(parley_id operation, std::string const& id);
    void answer_ws(parley_id operation);
    bool deliver(Event const& event);
    bool resume();
    bool acknowledge();
    void answer_inbound(parley_id operation);
    bool fire();
    void note_id(parley_id call, char const* what);
    void tell(std::uint16_t type, parley_id id, std::initializer_list<std::string_view> body);
    void end(Call& call, parley_id id, parley_status status);

    Link& link_;
    Script const& script_;
    parley_host* host_ = nullptr;
    parley_entry const* entry_ = nullptr;
    void* self_ = nullptr;
    void const* roles_[5] = {};
    parley_event_sink_v1 const* sinks_[9] = {};

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<parley_id, Call> calls_;
    std::map<parley_id, Operation> operations_;
    std::deque<Event> events_;
    std::deque<std::pair<parley_id, std::string>> durable_;  // cursors to be acknowledged
    std::map<std::string, std::string> store_;
    std::map<parley_id, std::string> drafts_;   // blobs that are being written
    std::map<std::string, std::string> blobs_;  // by id
    std::uint64_t next_call_ = 0, next_operation_ = 1, activity_ = 0, requests_made_ = 0, now_ = 0,
                  last_webhook_ = 0;
    std::size_t lines_ = 0, told_bytes_ = 0;
    bool is_alive_ = false;  // between create and the end of destroy
};

}  // namespace parley::worker
