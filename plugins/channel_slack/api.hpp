#pragma once

// One request to the Web API. The tokens are placed by the host; nothing here can see them.
#include "parley/plugin.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace slack {

struct Answer {
    bool ok = false;
    parley::Json told;  // the whole answer
    int status = 0;     // of HTTP; 0 when it never answered
    std::string error;  // Slack's word for it, made harmless
    std::int64_t retry_after_s = 0;
    std::optional<parley::Failure> broken;  // why there is no answer
};

class Api {
public:
    using Then = std::function<void(Answer const& answer)>;
    enum class Token { app, bot };

    Api(parley::Host& host, std::string api_url) : host_(host), api_url_(std::move(api_url)) {}

    // `params` is the JSON object of the method's parameters. `then` comes once, unless the call
    // ends or the operation is stopped; it may come before this returns.
    parley::Operation ask(parley::Call const& call, std::string_view method,
                          std::string_view params, Token token, Then then);

private:
    parley::Host& host_;
    std::string api_url_;
};

Answer answer_from(int status, std::string_view retry_after, std::string_view body);
// As `send` must fail it: what surely did not reach anybody says so.
parley::Failure failure_of(Answer const& answer);

}  // namespace slack
