// A URL of a plugin, a model or a redirect.
#include "target.hpp"

#include "wire/client.hpp"

void try_bytes(std::string_view bytes) {
    static_cast<void>(parley::is_public_address(bytes));
    static_cast<void>(parley::is_loopback_address(bytes));
    auto url = parley::parse_url(bytes);
    if (!url) return;
    must(url->host.find_first_of("@/\\?# \r\n") == std::string::npos, "a host is only a host");
    must(!url->host.empty() && url->port != 0, "a URL goes somewhere");
    auto again = parley::parse_url(url->origin() + url->path_and_query);
    must(again && again->origin() == url->origin(), "what was written is read alike");
}
