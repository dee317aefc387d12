#pragma once

// May this request be answered at all, and as whom? Decided before anything of it is looked at but
// its headers: exact Host, own Origin, and a bearer token or a trusted peer of the control socket.
#include "vault/vault.hpp"
#include "wire/server.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

enum class Access { open, read, admin };

// Who asks, once it is known.
struct Caller {
    Access access = Access::open;
    bool by_token = false;
    std::string actor;  // JSON
};

struct Denial {
    int status = 401;
    std::string detail;
};

class Doorman {
public:
    // `tokens` must outlive the doorman.
    explicit Doorman(Tokens const& tokens) : tokens_(tokens) {}
    // What the listener answers to: host:port as bound, the loopback names, and the public URL.
    void answers_to(std::string const& host, std::uint16_t port, std::string const& public_url);

    // Nothing when the request may pass to its route.
    std::optional<Denial> check_origin(Request const& request) const;
    // Who asks; a route that needs more is refused by needs().
    Caller caller(Request const& request) const;
    static std::optional<Denial> needs(Access needed, Caller const& caller, Request const& request);

    // A peer that guesses is slowed down: counts failures, true when it must wait.
    bool is_guessing(Request const& request, std::int64_t now_us);
    void count_failure(Request const& request, std::int64_t now_us);

private:
    struct Failures {
        int count = 0;
        std::int64_t since_us = 0;
    };
    Tokens const& tokens_;
    std::vector<std::string> hosts_, origins_;
    std::map<std::string, Failures> failures_;
};

}  // namespace parley
