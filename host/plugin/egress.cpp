#include "plugin/egress.hpp"

#include "base/guard.hpp"
#include "base/text.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace parley {

namespace {

bool host_fits(EgressRule const& rule, std::string_view host) {
    if (!holds("egress")) return true;
    if (!rule.host.starts_with("*.")) return rule.host == host;
    // The suffix with its dot, and something before it.
    auto suffix = std::string_view(rule.host).substr(1);
    return host.size() > suffix.size() && host.ends_with(suffix);
}

bool is_localhost(std::string_view host) {
    return host == "localhost" || host.ends_with(".localhost");
}

Error denied(std::string what) {
    return Error(Fault::denied, std::move(what));
}

}  // namespace

bool is_ip_literal(std::string_view host) {
    unsigned char space[16];
    std::string text(host);
    return inet_pton(AF_INET, text.c_str(), space) == 1 ||
           inet_pton(AF_INET6, text.c_str(), space) == 1;
}

Result<EgressRule> admit_http(WorkerSpec const& spec, Url const& url, std::string_view method) {
    bool host_known = false;
    for (auto const& rule : spec.egress) {
        if (rule.stream || rule.ws || !host_fits(rule, url.host)) continue;
        host_known = true;
        if (url.port != (rule.port ? rule.port : 443)) continue;
        // Plain HTTP only where the operator wrote it; and what was written as https stays so.
        if ((url.scheme == "http") != rule.plain) continue;
        if (!rule.methods.empty() &&
            std::find(rule.methods.begin(), rule.methods.end(), method) == rule.methods.end())
            continue;
        return rule;
    }
    auto where = visible(url.origin());
    if (!host_known) return denied("egress to " + where + " is not allowed");
    return denied("egress by " + visible(method) + " to " + where +
                  " is not allowed: the scheme, port or method differs from what is");
}

Result<EgressRule> admit_stream(WorkerSpec const& spec, std::string_view host, std::uint16_t port,
                                bool tls) {
    for (auto const& rule : spec.egress) {
        if (!rule.stream || !host_fits(rule, host) || rule.port != port) continue;
        if (!tls && rule.from_config.empty())
            return denied("a stream without TLS goes only where the operator's config points");
        return rule;
    }
    return denied("a stream to " + visible(host) + ":" + std::to_string(port) + " is not allowed");
}

Result<EgressRule> admit_ws(WorkerSpec const& spec, Url const& url) {
    for (auto const& rule : spec.egress) {
        if (!rule.ws || !host_fits(rule, url.host)) continue;
        if (url.port != (rule.port ? rule.port : 443)) continue;
        // Without TLS only where the operator wrote it; and what was written as wss stays so.
        if ((url.scheme == "ws") == rule.plain) return rule;
    }
    return denied("a WebSocket to " + visible(url.origin()) + " is not allowed");
}

bool may_connect(WorkerSpec const& spec, EgressRule const& rule, std::string_view host,
                 std::string_view address, std::uint16_t port) {
    // Our own API is no destination, whoever wrote it there.
    bool is_here = is_loopback_address(address) || address == "0.0.0.0" || address == "::";
    if (is_here && port == spec.own_port && spec.own_port != 0 && holds("own-port")) return false;
    if (is_public_address(address) || !holds("private-address")) return true;
    if (rule.from_config.empty()) return false;
    // Only exactly what the operator wrote: a name could be made to point anywhere.
    return is_ip_literal(host) || (is_localhost(host) && is_loopback_address(address)) ||
           spec.allow_private;
}

bool may_receive(SecretField const& field, EgressRule const& rule, std::string_view host) {
    if (!holds("secret-host")) return true;
    return std::any_of(field.hosts.begin(), field.hosts.end(), [&](std::string const& bound) {
        if (bound.starts_with("from_config:"))
            return !rule.from_config.empty() &&
                   std::string_view(bound).substr(12) == rule.from_config;
        return bound == host;
    });
}

Result<Url> redirect_target(Url const& base, std::string_view location) {
    location = location.substr(0, location.find('#'));
    if (location.empty()) return Error(Fault::bad_input, "an empty Location");
    if (location.find("://") < location.find_first_of("/?")) return parse_url(location);
    if (location.starts_with("//")) return parse_url(base.scheme + ":" + std::string(location));
    if (location.starts_with('/')) return parse_url(base.origin() + std::string(location));
    auto path = base.path_and_query.substr(0, base.path_and_query.find('?'));
    if (location.starts_with('?')) return parse_url(base.origin() + path + std::string(location));
    auto folder = path.substr(0, path.rfind('/') + 1);
    return parse_url(base.origin() + (folder.empty() ? "/" : folder) + std::string(location));
}

}  // namespace parley
