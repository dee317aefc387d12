#include "wire/response_text.hpp"

#include "base/json.hpp"

#include <algorithm>

namespace parley {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_header_value(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7f;
    });
}

bool is_header_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-';
    });
}

void add_line(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

// Agent text must not be sniffed into a page, cached, or told to other sites.
constexpr std::pair<std::string_view, std::string_view> defaults[] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
};

}  // namespace

bool same_header(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](char x, char y) { return lower(x) == lower(y); });
}

char const* reason_for(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 304:
            return "Not Modified";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Status";
    }
}

std::string response_head(Response const& response, Framing framing, bool keep_alive,
                          bool http_1_1) {
    auto status = response.status >= 200 && response.status <= 599 ? response.status : 500;
    std::string out;
    out.reserve(320);
    out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ");
    out.append(reason_for(status)).append("\r\n");
    auto may_have_body = status != 204 && status != 304;
    if (may_have_body && !response.content_type.empty() && is_header_value(response.content_type))
        add_line(out, "Content-Type", response.content_type);
    if (framing == Framing::length && may_have_body)
        add_line(out, "Content-Length", std::to_string(response.body.size()));
    if (framing == Framing::chunked) add_line(out, "Transfer-Encoding", "chunked");
    for (auto const& usual : defaults) {
        auto given =
            std::any_of(response.headers.begin(), response.headers.end(),
                        [&](auto const& header) { return same_header(header.first, usual.first); });
        if (!given) add_line(out, usual.first, usual.second);
    }
    for (auto const& [name, value] : response.headers)
        if (is_header_name(name) && is_header_value(value)) add_line(out, name, value);
    if (!keep_alive)
        add_line(out, "Connection", "close");
    else if (!http_1_1)
        add_line(out, "Connection", "keep-alive");
    return out.append("\r\n");
}

Response problem(int status, std::string const& detail) {
    Response response;
    response.status = status;
    response.content_type = "application/problem+json";
    JsonWriter out;
    out.begin('{').pair("type", "about:blank").pair("title", reason_for(status));
    out.pair("status", std::int64_t{status});
    if (!detail.empty()) out.pair("detail", detail);
    response.body = out.end('}').take();
    return response;
}

}  // namespace parley
