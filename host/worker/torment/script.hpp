#pragma once

// What one check is to play: plain lines, so that this program needs no JSON. Requests are made by
// the host from the schemas, and are taken here as they are.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::worker {

struct Request {
    std::uint32_t verb = 0;  // role << 8 | index
    std::string bytes;
};

struct Script {
    std::string check;  // its name, such as cancel-latency
    std::string config = "{}";
    std::string canary;  // what the reveal service gives
    std::string note;    // the manifest; comes by itself
    std::vector<std::string> roles, required, optional;
    std::vector<Request> requests;
    std::vector<Request> odd;  // the same with members that nobody knows, one for each
    std::vector<Request> large;
    std::vector<Request> previews;
    std::vector<std::string> webhooks;  // bodies that come from outside, as JSON texts
    std::uint64_t seed = 0, milliseconds = 0, pending = 1;
    std::vector<std::uint32_t> promises;  // verbs that the manifest says it has
};

// Nothing when a line is not understood.
std::optional<Script> parse_script(std::string_view text);

}  // namespace parley::worker
