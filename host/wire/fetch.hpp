#pragma once

// One fetch as the client keeps it: the request, the answer so far and its limits. It knows no
// socket.
#include "wire/client.hpp"
#include "wire/curl_table.h"

namespace parley {

// Fault::bad_input for a method or header that the caller may not set.
Result<> check_request(FetchRequest const& request);

class HttpClient::Fetch {
public:
    FetchRequest request;
    AddressCheck may_connect;
    FetchSink sink;
    void* engine = nullptr;    // whose on_end it is
    void* transfer = nullptr;  // the module's, while in flight
    bool paused = false, stopped = false, ended = false;

    FetchHead head;
    bool head_told = false;
    std::size_t header_bytes = 0, body_bytes = 0;
    std::string own_reason;  // why we ended it ourselves

    bool take_header(std::string_view line);
    parley_curl_take take_data(std::string_view bytes);
    void end(Result<> outcome, bool sent) {
        if (ended || stopped) return;
        ended = true;
        auto last = std::move(sink);
        sink = {};
        if (last.on_done) last.on_done(std::move(outcome), sent);
    }
};

}  // namespace parley
