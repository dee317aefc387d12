#pragma once

// A channel instance as the host sees it: messages, presses of buttons and commands come in, messages
// go out, in order for each conversation. It never decides who may speak, and never drops what it was given to send.
#include "base/ids.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "plugin/attachment.hpp"
#include "plugin/worker.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Inbound {
    enum class Kind { message, press, command };
    Kind kind = Kind::message;
    InstanceName instance;
    std::string conversation;
    std::vector<std::string> sender_ids;  // typed, strongest first
    std::string sender_name;
    std::string text;                     // UTF-8; of a press its code, of a command its name
    std::string external_id;              // empty: none
    bool is_private = false;
    std::string cursor;
    std::vector<Attachment> attachments{};  // as the plugin says, and blobs of the instance
};

struct Button {
    std::string text, data;
};

struct Outbound {
    OutboxId id;
    std::string conversation, text;
    bool is_notice = false;         // a line of the host, not of the agent
    bool is_markdown = false;       // only for plugins with that feature
    std::vector<Button> buttons{};  // one row; only for plugins with that feature
    std::vector<Attachment> attachments{};  // blobs of the instance; with the feature `files`
};

// What became of a send. Failed with `left` false: provably nothing went out, so it may be sent
// again; with `left` true nobody knows.
struct SendOutcome {
    bool delivered = false;
    bool left = true;
    bool retryable = false;
    std::string detail;
    std::vector<std::string> ids{};  // the service's, of the parts in order
    std::chrono::milliseconds retry_after{0};  // as the service asks
};

// What becomes of a message after a try to send it.
struct Fate {
    enum class Kind { delivered, again, unknown, failed } kind = Kind::unknown;
    std::chrono::milliseconds wait{0};  // before it is tried again
};
// What provably did not leave is tried again, with growing pauses or after the one that the service
// asks for: while the channel is down without an end, and while it is there until the message is a
// day old, since then it is the message that it does not take. `tries` counts this one too.
Fate fate_of(SendOutcome const& outcome, bool is_up, std::int64_t tries,
             std::chrono::microseconds age);

class Channel {
public:
    enum class Link { connecting, connected, disconnected, failed };

    struct Sink {
        // `taken` must be called once when the message is durable or refused: the plugin gets its
        // credit back, and learns that the cursor is safe.
        std::function<void(Inbound message, std::function<void()> taken)> on_message;
        std::function<void(Link link, std::string const& detail)> on_link;
    };

    // Starts the worker and its `run`, again with back-off whenever it ends, unless the plugin says
    // that the error is permanent. `last_cursor` is asked at each start. `inbound`: it may hear
    // webhooks, which arrive at that address; empty when nobody knows it.
    static std::shared_ptr<Channel> open(Loop& loop, InstanceName name,
                                         std::shared_ptr<Worker> worker,
                                         std::function<std::string()> last_cursor, Sink sink,
                                         std::optional<std::string> inbound = {});
    virtual ~Channel() = default;

    virtual void send(Outbound message, std::function<void(SendOutcome)> done) = 0;
    // Gives a message that was sent another text, and no buttons; only with the feature `edit`.
    virtual void edit(std::string const& conversation, std::string const& id,
                      std::string const& text, std::function<void(SendOutcome)> done) = 0;
    // Shows that an answer comes, or its text so far; only with those features. Whether it could is
    // not told: nothing depends on it.
    virtual void typing(std::string const& conversation) = 0;
    virtual void draft(std::string const& conversation, std::int64_t number,
                       std::string const& text) = 0;
    virtual Link link() const = 0;
    virtual std::string const& detail() const = 0;
    // Begins no further run, lets the sends under way end, then the worker. `over` is told once,
    // when the present run has ended: only then may another of this instance begin.
    virtual void retire(std::function<void()> over) = 0;
    virtual void stop() = 0;
};
char const* name_of(Channel::Link link);

}  // namespace parley
