#include "control/access.hpp"

#include <algorithm>
#include <cctype>

namespace parley {

namespace {

constexpr int failures_most = 20;
constexpr std::int64_t failure_window_us = 60'000'000;
constexpr std::size_t addresses_most = 1024;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool stands_in(std::vector<std::string> const& list, std::string_view text) {
    return std::find(list.begin(), list.end(), lower(text)) != list.end();
}

}  // namespace

void Doorman::answers_to(std::string const& host, std::uint16_t port, std::string const& public_url) {
    hosts_.clear();
    origins_.clear();
    auto add = [&](std::string const& name) {
        hosts_.push_back(lower(name) + ':' + std::to_string(port));
        origins_.push_back("http://" + hosts_.back());
        if (port == 80) hosts_.push_back(lower(name)), origins_.push_back("http://" + lower(name));
    };
    for (auto const* name : {"127.0.0.1", "localhost", "[::1]"}) add(name);
    bool is_v6 = host.find(':') != std::string::npos;
    if (host != "0.0.0.0" && host != "::") add(is_v6 ? '[' + host + ']' : host);
    if (auto scheme = public_url.find("://"); scheme != std::string::npos) {
        auto origin = lower(public_url.substr(0, public_url.find('/', scheme + 3)));
        origins_.push_back(origin);
        hosts_.push_back(origin.substr(scheme + 3));
    }
}

std::optional<Denial> Doorman::check_origin(Request const& request) const {
    if (request.header_count("host") > 1 || request.header_count("authorization") > 1)
        return Denial{400, "a header that may stand once stands twice"};
    if (request.peer.local_socket) {
        // No browser comes this way.
        if (request.header("origin")) return Denial{403, "the control socket serves no pages"};
        return {};
    }
    auto host = request.header("host");
    if (!host || !stands_in(hosts_, *host)) return Denial{421, "this host does not answer to that name"};
    if (auto origin = request.header("origin"); origin && !stands_in(origins_, *origin))
        return Denial{403, "the request comes from another origin"};
    if (auto site = request.header("sec-fetch-site"); site && *site != "same-origin" && *site != "none")
        return Denial{403, "the request comes from another site"};
    return {};
}

Caller Doorman::caller(Request const& request) const {
    Caller caller;
    if (auto given = request.header("authorization")) {
        constexpr std::string_view scheme = "Bearer ";
        if (!given->starts_with(scheme)) return caller;
        auto scope = tokens_.check(given->substr(scheme.size()));
        if (!scope) return caller;
        caller.by_token = true;
        caller.access = *scope == Scope::admin ? Access::admin : Access::read;
        caller.actor = *scope == Scope::admin ? R"({"type":"api","scope":"admin"})" : R"({"type":"api","scope":"read"})";
    } else if (request.peer.local_socket && request.peer.trusted_user) {
        caller.access = Access::admin;
        caller.actor = R"({"type":"cli"})";
    }
    return caller;
}

std::optional<Denial> Doorman::needs(Access needed, Caller const& caller, Request const& request) {
    if (needed == Access::open) return {};
    if (caller.access == Access::open)
        return Denial{401, request.header("authorization") ? "the token is not one of this host's"
                                                           : "a token is needed: Authorization: Bearer TOKEN"};
    if (needed == Access::admin && caller.access != Access::admin)
        return Denial{403, "this needs the admin token"};
    return {};
}

bool Doorman::is_guessing(Request const& request, std::int64_t now_us) {
    auto found = failures_.find(request.peer.address);
    if (found == failures_.end()) return false;
    if (now_us - found->second.since_us > failure_window_us) {
        failures_.erase(found);
        return false;
    }
    return found->second.count >= failures_most;
}

void Doorman::count_failure(Request const& request, std::int64_t now_us) {
    if (failures_.size() >= addresses_most) failures_.clear();
    auto [found, is_new] = failures_.try_emplace(request.peer.address, Failures{0, now_us});
    ++found->second.count;
}

}  // namespace parley
