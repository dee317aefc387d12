#pragma once

// One request to the Bot API. The token is placed by the host; nothing here can see it.
#include "parley/plugin.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace telegram {

struct Answer {
    bool ok = false;
    parley::Json result;
    std::int64_t code = 0;    // as the API counts: an HTTP status; 0 when it never answered
    std::string description;  // what the API says, made harmless
    std::int64_t retry_after_s = 0;
    std::int64_t migrated_to = 0;           // the chat's new id
    std::optional<parley::Failure> broken;  // why there is no answer

    // The API refused it with these words.
    bool says(std::string_view words) const { return description.find(words) != description.npos; }
};

class Api {
public:
    using Then = std::function<void(Answer const& answer)>;

    Api(parley::Host& host, std::string base_url) : host_(host), base_url_(std::move(base_url)) {}

    // `params` is the JSON object of the method's parameters. `then` comes once, unless the call
    // ends or the operation is stopped; it may come before this returns. `more`: other secrets in
    // it.
    parley::Operation ask(parley::Call const& call, std::string_view method,
                          std::string_view params, std::chrono::seconds timeout, Then then,
                          std::vector<parley::Inject> more = {});
    // The same with the parameters as a form, since there are files among them.
    parley::Operation upload(parley::Call const& call, std::string_view method,
                             std::vector<parley::HttpPart> params, std::chrono::seconds timeout,
                             Then then);

    // A file, as the `file_path` of getFile names it, as a blob. An answer that is ok has one.
    using ThenFile = std::function<void(Answer const& answer, parley::Blob const& blob)>;
    parley::Operation fetch(parley::Call const& call, std::string_view path,
                            std::chrono::seconds timeout, ThenFile then);

private:
    parley::HttpRequest request_for(std::string_view before, std::string_view after,
                                    std::chrono::seconds timeout) const;
    parley::Operation start(parley::Call const& call, parley::HttpRequest const& request,
                            std::string_view body, ThenFile then);
    parley::Host& host_;
    std::string base_url_;
};

Answer answer_from(int status, std::string_view body);
// As `send` must fail it: what surely did not reach anybody says so.
parley::Failure failure_of(Answer const& answer);

}  // namespace telegram
