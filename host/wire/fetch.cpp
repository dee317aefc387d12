#include "wire/fetch.hpp"

#include "base/limits.hpp"
#include "wire/response_text.hpp"

#include <algorithm>
#include <charconv>

namespace parley {
namespace {

bool is_token(std::string_view text) {
    return !text.empty() && text.find_first_not_of(
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_.") == std::string_view::npos;
}

bool is_value(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7f;
    });
}

// These frame the message or choose who answers; both follow from the request itself.
constexpr std::string_view ours[] = {"host",
                                     "content-length",
                                     "transfer-encoding",
                                     "connection",
                                     "upgrade",
                                     "te",
                                     "trailer",
                                     "expect",
                                     "keep-alive",
                                     "proxy-authorization",
                                     "proxy-connection"};

Result<> check_headers(FetchRequest const& request) {
    for (auto const& [name, value] : request.headers) {
        if (!is_token(name)) return Error(Fault::bad_input, "a header's name is not well-formed");
        if (!is_value(value))
            return Error(Fault::bad_input, "header " + name + " holds a control character");
        for (auto kept : ours)
            if (same_header(name, kept))
                return Error(Fault::bad_input, "header " + name + " is not the caller's to set");
    }
    return ok();
}

Result<> check_method(std::string const& method) {
    auto letters = method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
    if (method.empty() || method.size() > 16 || !letters || method == "CONNECT" ||
        method == "TRACE")
        return Error(Fault::bad_input, "this method is not one that is fetched with");
    return ok();
}

}  // namespace

Result<> check_request(FetchRequest const& request) {
    MUST(check_method(request.method));
    return check_headers(request);
}

bool HttpClient::Fetch::take_header(std::string_view line) {
    if (stopped) return false;
    header_bytes += line.size();
    if (header_bytes > limits::egress_header_bytes) {
        own_reason = "the answer's header is too long";
        return false;
    }
    if (head_told) return true;  // a trailer
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
        head = {};
        auto space = line.find(' ');
        if (space != std::string_view::npos)
            std::from_chars(line.data() + space + 1, line.data() + line.size(), head.status);
        return true;
    }
    if (line.empty()) {
        if (head.status < 200) return true;  // 100 and 103 announce another
        head_told = true;
        if (sink.on_head) sink.on_head(std::move(head));
        return !stopped;
    }
    auto colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
        value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    head.headers.emplace_back(line.substr(0, colon), value);
    return true;
}

parley_curl_take HttpClient::Fetch::take_data(std::string_view bytes) {
    if (stopped) return PARLEY_CURL_ABORT;
    if (paused) return PARLEY_CURL_PAUSE;
    body_bytes += bytes.size();
    if (body_bytes > request.response_bytes_most) {
        own_reason =
            "the answer is longer than " + std::to_string(request.response_bytes_most) + " bytes";
        return PARLEY_CURL_ABORT;
    }
    if (sink.on_data) sink.on_data(bytes);
    return stopped ? PARLEY_CURL_ABORT : PARLEY_CURL_TAKEN;
}

}  // namespace parley
