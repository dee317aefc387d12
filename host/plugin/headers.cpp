#include "plugin/headers.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(),
                       [name](auto other) { return same_name(name, other); });
}

bool is_token(std::string_view text) {
    return !text.empty() && text.size() <= 128 &&
           text.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "!#$%&'*+-.^_`|~") == text.npos;
}

Result<Headers> read_headers(json::value const& request) {
    Headers out;
    auto const* headers = member(request, "headers");
    if (!headers || headers->is_null()) return out;
    if (!headers->is_array() || headers->get_array().size() > 64)
        return bad("headers is not a list, or too long");
    for (auto const& header : headers->get_array()) {
        auto const* pair = header.if_array();
        if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
            return bad("a header is not a pair of texts");
        std::string name((*pair)[0].get_string()), value((*pair)[1].get_string());
        if (!is_token(name)) return bad("a header's name is not a token");
        if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos)
            return bad("the header " + name + " holds a line break");
        // These are the host's: they decide where the bytes go and where a request ends.
        if (is_one_of(name, {"host", "content-length", "transfer-encoding", "connection", "upgrade",
                             "te", "trailer", "expect", "keep-alive", "proxy-authorization",
                             "proxy-connection"}))
            return Error(Fault::denied, "the header " + name + " is the host's to set");
        out.emplace_back(std::move(name), std::move(value));
    }
    return out;
}

}  // namespace parley
