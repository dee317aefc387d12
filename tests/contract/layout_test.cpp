#include "layout.h"

#include <catch2/catch.hpp>

#include <string_view>
#include <type_traits>

extern "C" int parley_layout_holds_in_c(void);

// Ids are spelled for good.
using namespace std::string_view_literals;
static_assert(PARLEY_ROLE_CHANNEL == "parley.channel/1"sv);
static_assert(PARLEY_ROLE_PROVIDER == "parley.provider/1"sv);
static_assert(PARLEY_ROLE_SKILL == "parley.skill/1"sv);
static_assert(PARLEY_ROLE_HOOK == "parley.hook/1"sv);
static_assert(PARLEY_SINK_HTTP == "parley.http-sink/1"sv);
static_assert(PARLEY_SINK_STREAM == "parley.stream-sink/1"sv);
static_assert(PARLEY_SINK_TIMER == "parley.timer-sink/1"sv);
static_assert(PARLEY_SINK_KV == "parley.kv-sink/1"sv);
static_assert(PARLEY_SINK_ACK == "parley.ack-sink/1"sv);
static_assert(PARLEY_SINK_FLOW == "parley.flow-sink/1"sv);
static_assert(PARLEY_SINK_REVEAL == "parley.reveal-sink/1"sv);
static_assert(PARLEY_SINK_WS == "parley.ws-sink/1"sv);
static_assert(PARLEY_HOST_HTTP == "parley.host.http/1"sv);
static_assert(PARLEY_HOST_STREAM == "parley.host.stream/1"sv);
static_assert(PARLEY_HOST_TIMER == "parley.host.timer/1"sv);
static_assert(PARLEY_HOST_KV == "parley.host.kv/1"sv);
static_assert(PARLEY_HOST_REVEAL == "parley.host.reveal/1"sv);
static_assert(PARLEY_SINK_BLOB == "parley.blob-sink/1"sv);
static_assert(PARLEY_HOST_BLOB == "parley.host.blob/1"sv);
static_assert(PARLEY_HOST_WS == "parley.host.ws/1"sv);
static_assert(PARLEY_HOST_INBOUND == "parley.host.inbound/1"sv);
static_assert(PARLEY_SINK_INBOUND == "parley.inbound-sink/1"sv);

// One spelling for each function that crosses the line: a changed parameter changes the type.
static_assert(std::is_same_v<parley_start_fn, parley_status (*)(void*, parley_id, std::uint32_t,
                                                                char const*, std::size_t)>);
static_assert(std::is_same_v<parley_event_fn, void (*)(void*, parley_id, parley_id, std::uint32_t,
                                                       char const*, std::size_t)>);
static_assert(std::is_same_v<decltype(parley_host::complete),
                             parley_status (*)(parley_host const*, parley_id, parley_status,
                                               char const*, std::size_t)>);
static_assert(
    std::is_same_v<decltype(parley_entry::create),
                   parley_status (*)(parley_host const*, char const*, std::size_t, void**)>);
static_assert(std::is_same_v<decltype(parley_host_http_v1::start),
                             parley_status (*)(parley_host const*, parley_id, char const*,
                                               std::size_t, char const*, std::size_t, parley_id*)>);
static_assert(std::is_same_v<decltype(parley_host_stream_v1::write),
                             parley_status (*)(parley_host const*, parley_id, char const*,
                                               std::size_t, char const*, std::size_t)>);

static_assert(
    std::is_same_v<decltype(parley_host_ws_v1::write),
                   parley_status (*)(parley_host const*, parley_id, std::uint32_t, char const*,
                                     std::size_t, char const*, std::size_t)>);
static_assert(std::is_same_v<decltype(parley_host_ws_v1::close),
                             parley_status (*)(parley_host const*, parley_id, std::uint32_t,
                                               char const*, std::size_t)>);

TEST_CASE("the layout of ABI 1.0 is the golden one, in C11 and in C++20", "[layout]") {
    REQUIRE(parley_layout_holds_in_c() == static_cast<int>(sizeof(parley_entry)));
}

TEST_CASE("a member beyond struct_size is not there", "[layout]") {
    parley_host host{};
    host.struct_size = offsetof(parley_host, log);
    host.emit = [](parley_host const*, parley_id, char const*, std::size_t) {
        return PARLEY_OK + 0;
    };
    host.log = [](parley_host const*, std::int32_t, char const*, std::size_t) {};
    REQUIRE(PARLEY_HAS(&host, emit));
    REQUIRE_FALSE(PARLEY_HAS(&host, log));
}
