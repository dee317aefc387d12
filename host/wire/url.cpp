#include "wire/client.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

// Two readers that understand one URL differently are how a fetch ends up where no rule allowed
// it. So whatever is unusual is refused here, and the client is given the URL as rebuilt from
// these parts.
namespace parley {
namespace {

Error bad(std::string what) {
    return Error(Fault::bad_input, "URL: " + std::move(what));
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

// 7, 0x7f000001, 127.1: what old resolvers read as an address ends in a number.
bool ends_in_number(std::string_view host) {
    auto dot = host.rfind('.');
    auto last = dot == std::string_view::npos ? host : host.substr(dot + 1);
    if (std::all_of(last.begin(), last.end(), is_digit)) return true;
    return last.starts_with("0x") &&
           last.substr(2).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_name_label(std::string_view label) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
        return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return is_lower(c) || is_digit(c) || c == '-' || c == '_'; });
}

Result<> check_name(std::string_view host) {
    if (host.size() > 253) return bad("the host name is too long");
    while (true) {
        auto dot = host.find('.');
        if (!is_name_label(host.substr(0, dot))) return bad("the host name is not well-formed");
        if (dot == std::string_view::npos) return ok();
        host.remove_prefix(dot + 1);
    }
}

Result<> take_host(std::string_view text, Url& url) {
    if (text.starts_with('[')) {
        in6_addr address{};
        auto inner = std::string(text.substr(1, text.size() - 2));
        if (inet_pton(AF_INET6, inner.c_str(), &address) != 1)
            return bad("the host is not an IPv6 address");
        char canonical[INET6_ADDRSTRLEN];
        url.host = inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
        url.host_is_ip = true;
        return ok();
    }
    url.host = lowered(text);
    if (ends_in_number(url.host)) {
        in_addr address{};
        if (inet_pton(AF_INET, url.host.c_str(), &address) != 1)
            return bad("a host of numbers must be four decimal numbers");
        url.host_is_ip = true;
        return ok();
    }
    return check_name(url.host);
}

Result<> take_port(std::string_view text, Url& url) {
    auto good =
        !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
    unsigned port = 0;
    if (good) std::from_chars(text.data(), text.data() + text.size(), port);
    if (port == 0 || port > 65535) return bad("the port is not between 1 and 65535");
    url.port = static_cast<std::uint16_t>(port);
    return ok();
}

}  // namespace

std::string Url::origin() const {
    auto is_v6 = host.find(':') != std::string::npos;
    return scheme + "://" + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > limits::url_bytes) return bad("is too long");
    for (auto c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f)
            return bad("holds a space, a control or a non-ASCII byte");
        if (c == '\\') return bad("holds a backslash");
    }
    Url url;
    auto colon = text.find("://");
    if (colon == std::string_view::npos) return bad("has no scheme");
    url.scheme = lowered(text.substr(0, colon));
    if (url.scheme != "http" && url.scheme != "https") return bad("is neither http nor https");
    url.port = url.scheme == "http" ? 80 : 443;

    auto rest = text.substr(colon + 3);
    auto authority = rest.substr(0, rest.find_first_of("/?#"));
    rest.remove_prefix(authority.size());
    if (authority.find('@') != std::string_view::npos) return bad("holds user information");
    auto host_end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
    if (authority.starts_with('[') && host_end == 0) return bad("has an open bracket");
    auto host = authority.substr(0, host_end);
    auto after = host.size() < authority.size() ? authority.substr(host.size()) : "";
    if (host.empty()) return bad("has no host");
    MUST(take_host(host, url));
    if (!after.empty()) {
        if (after.front() != ':') return bad("has something between host and port");
        MUST(take_port(after.substr(1), url));
    }
    url.path_and_query = rest.substr(0, rest.find('#'));
    if (!url.path_and_query.starts_with('/')) url.path_and_query.insert(0, "/");
    return url;
}

}  // namespace parley
