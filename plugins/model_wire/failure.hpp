#pragma once

// What a server's error means for the host: whose matter it is, and whether to try again. It never
// tries again itself.
#include "parley/host.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace model_wire {

constexpr std::size_t error_text_bytes = 500;

// Of an answer that is no 2xx.
parley::Failure failure_of(parley::HttpHead const& head, std::string_view body);
// Of an error that came inside a stream that had begun well.
parley::Failure failure_in_stream(std::string_view data);

// From retry-after-ms, or retry-after as seconds or as a date, or when a rate that is used up comes
// back, as a moment or as a duration; at most an hour. Moments are measured from the answer's own
// date, so that clocks need not agree. 0 when the server says nothing usable.
std::int64_t retry_after_ms(parley::HttpHead const& head);

}  // namespace model_wire
