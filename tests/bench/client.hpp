#pragma once

// A small HTTP/1.1 load client over loopback: many keep-alive connections and one event stream,
// all on one poll loop, so that the driver costs little beside what it measures.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

std::int64_t now_us();

// One blocking request on a connection of its own; the body, or empty when it failed.
std::string request(int port, std::string const& token, std::string const& method,
                    std::string const& path, std::string const& body = "", int* status = nullptr);

struct Figures {
    std::vector<std::int64_t> latencies_us;
    std::int64_t turns = 0, wall_us = 0, failed = 0;
};

// `sessions` conversations, each sending its next message when it has seen the reply to the last,
// until `turns` replies in all.
Figures converse(int port, std::string const& token, int sessions, std::int64_t turns,
                 std::string const& text, std::string const& prefix);

}  // namespace bench
