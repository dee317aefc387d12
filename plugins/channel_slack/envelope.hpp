#pragma once

// What comes over Socket Mode, as the host is told of it: a message of the socket is read into an
// item of `run`, or into nothing.
#include "parley/json.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace slack {

enum class Channels { mention, all, never };

struct Me {
    std::string user;  // U…, as people name the app
    std::string name;
};

// A channel, and a thread in it where there is one: "D1", "C1:1700000000.000100".
struct Place {
    std::string channel;
    std::string thread;  // the `ts` of its first message
    std::string text() const { return thread.empty() ? channel : channel + ":" + thread; }
};
std::optional<Place> place_from(std::string_view conversation);
// A message's id is its `ts`.
bool is_ts(std::string_view text);

struct Heard {
    enum class Kind { nothing, hello, disconnect, envelope } kind = Kind::nothing;
    std::string reason;    // of a disconnect
    std::string envelope;  // its id: Slack waits for its acknowledgement
    std::string item;      // for the host; empty: nothing that concerns it
    std::string reply;     // for who gave a command that is none; empty: nothing is said
};

Heard heard_in(parley::Json const& message, Me const& me, Channels channels);

// Slack's own notation of a text, as people read it: &amp; <@U1> <https://x|y> <#C1|name> <!here>.
std::string readable(std::string_view text);

}  // namespace slack
