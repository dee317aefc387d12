#pragma once

// May these bytes go there? Pure decisions about destinations; no socket, no clock. Room-private.
#include "base/result.hpp"
#include "plugin/worker.hpp"
#include "wire/client.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parley {

// The rule that lets this request out. Fault::denied with the reason otherwise. Asked before any
// name is resolved.
Result<EgressRule> admit_http(WorkerSpec const& spec, Url const& url, std::string_view method);
Result<EgressRule> admit_stream(WorkerSpec const& spec, std::string_view host, std::uint16_t port,
                                bool tls);
Result<EgressRule> admit_ws(WorkerSpec const& spec, Url const& url);

// Asked of the address that the name resolved to, before connecting: `rule` let the name out.
bool may_connect(WorkerSpec const& spec, EgressRule const& rule, std::string_view host,
                 std::string_view address, std::uint16_t port);

// A secret may be used towards a host only if the manifest binds it to that host, or to the
// config key that the rule came from.
bool may_receive(SecretField const& field, EgressRule const& rule, std::string_view host);

// The address that a Location names, seen from `base`. Fault::bad_input when it makes no sense.
Result<Url> redirect_target(Url const& base, std::string_view location);

bool is_ip_literal(std::string_view host);

}  // namespace parley
