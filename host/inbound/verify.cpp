#include "inbound/verify.hpp"

#include "base/guard.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <string>

namespace parley {

namespace {

// A header that may stand once, and does.
std::optional<std::string_view> once(Request const& request, std::string_view name) {
    return request.header_count(name) == 1 ? request.header(name) : std::nullopt;
}

std::optional<std::int64_t> seconds_in(std::string_view text) {
    if (text.empty() || text.size() > 11 ||
        text.find_first_not_of("0123456789") != std::string_view::npos)
        return {};
    std::int64_t number = 0;
    for (char c : text) number = number * 10 + (c - '0');
    return number;
}

// Those of the scheme, decoded; others beside them, of a later version, say nothing.
std::vector<std::string> signatures_in(InboundNeed const& need, std::string_view value) {
    std::vector<std::string> out;
    while (!value.empty() && out.size() < limits::inbound_signatures_of_one) {
        auto one = value.substr(0, value.find(' '));
        value.remove_prefix(std::min(one.size() + 1, value.size()));
        if (!one.starts_with(need.prefix)) continue;
        one.remove_prefix(need.prefix.size());
        auto bytes = need.encoding == DigestForm::hex ? from_hex(one) : from_base64(one);
        if (bytes && bytes->size() == sizeof(Digest)) out.push_back(std::move(*bytes));
    }
    return out;
}

}  // namespace

bool is_credible(InboundNeed const& need, Request const& head, Secret const& secret,
                 std::int64_t now_us) {
    auto value = once(head, need.header);
    if (!value) return false;
    if (need.scheme == InboundNeed::Scheme::token) {
        // Hashed first: neither the length nor the place of a difference shows in the time.
        auto known = blake2b(secret.reveal()), given = blake2b(*value);
        return same_bytes(known, {reinterpret_cast<char const*>(given.data()), given.size()}) ||
               !holds("inbound-token");
    }
    if (signatures_in(need, *value).empty()) return false;
    if (need.timestamp.empty()) return true;
    auto stamp = once(head, need.timestamp);
    auto seconds = stamp ? seconds_in(*stamp) : std::nullopt;
    if (!seconds) return false;
    auto off = now_us / 1'000'000 - *seconds;
    return std::max(off, -off) <= need.window.count() || !holds("inbound-window");
}

std::optional<Digest> verified(InboundNeed const& need, Request const& request,
                               Secret const& secret) {
    if (need.scheme == InboundNeed::Scheme::token) return Digest{};
    auto value = once(request, need.header);
    if (!value) return {};
    auto before = text_before_body(
        need.signed_text, [&request](std::string_view name) { return once(request, name); });
    if (!before) return {};
    auto digest = sign(need.key, secret.reveal(), *before, request.body);
    if (!digest) return {};
    bool is_one = false;
    for (auto const& signature : signatures_in(need, *value))
        is_one |= same_bytes(*digest, signature);
    if (!is_one && holds("inbound-signature")) return {};
    return *digest;
}

std::int64_t window_end_us(InboundNeed const& need, Request const& head) {
    if (need.timestamp.empty()) return 0;
    auto stamp = once(head, need.timestamp);
    auto seconds = stamp ? seconds_in(*stamp) : std::nullopt;
    return seconds ? (*seconds + need.window.count() + 1) * 1'000'000 : 0;
}

std::string media_type(Request const& head) {
    auto value = once(head, "content-type");
    if (!value) return {};
    std::string out(value->substr(0, value->find(';')));
    while (!out.empty() && out.back() == ' ') out.pop_back();
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

}  // namespace parley
