#pragma once

// The door for requests from outside: POST /hooks/{instance}. A request is verified by what the
// plugin's manifest says before any code of the plugin sees a byte of it, and answered when the
// plugin has. Nothing of the API is behind this door, and no token of it opens it.
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/secret.hpp"
#include "config/config.hpp"
#include "inbound/bounds.hpp"
#include "plugin/inbound.hpp"
#include "wire/server.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

struct WebhookDeps {
    std::shared_ptr<InboundDesk> desk;
    std::function<std::int64_t()> now_us;  // never runs backwards
    std::function<Result<Secret>(SecretName const&)> secret;
    std::function<void(SecretName const&, std::string const& worker, std::string const& host)>
        secret_used;
    std::function<std::string(std::string_view)> find_secret;
    // The rule of Host and Origin, the same as the API's; nothing when it passes.
    std::function<std::optional<HttpRefusal>(Request const& head)> check_origin;
    // Counted for the operator, by the instance and the reason; never a record each.
    std::function<void(InstanceName const&, std::string const& why)> refused;
    std::function<void(int level, std::string const& worker, std::string_view text)> trace;
};

// All on the event thread. Must outlive the workers that answer.
class Webhooks {
public:
    explicit Webhooks(WebhookDeps deps) : deps_(std::move(deps)) {}
    // The configuration in force.
    void use(std::shared_ptr<Config const> config);

    static bool is_for(Request const& head);
    // Before the body is read.
    BodyTerms admit(Request const& head);
    // A request that was admitted.
    void handle(Request request, std::shared_ptr<Reply> reply);

private:
    struct Place {
        std::int64_t moment_us = 0;  // of verified requests
        std::size_t open = 0;
        Signatures taken{limits::inbound_signatures};
    };
    // Where a request goes, as far as its header tells; or why it goes nowhere.
    struct Way {
        std::optional<HttpRefusal> refusal;
        InstanceName instance;
        std::shared_ptr<InboundListener> listener;
        std::optional<Secret> secret;
    };
    Way way_of(Request const& head);
    bool may_read(std::string const& peer, std::int64_t now_us);
    void answered(InstanceName const& instance, std::optional<Digest> const& signature,
                  Result<InboundAnswer> answer, Reply& reply);
    HttpRefusal refuse(InstanceName const& instance, int status, std::string const& why);

    WebhookDeps deps_;
    std::shared_ptr<Config const> config_;
    PeerRates peers_{Rate(limits::inbound_peer_per_second, limits::inbound_peer_burst),
                     limits::inbound_peers};
    Rate const rate_{limits::inbound_per_second, limits::inbound_burst};
    std::map<InstanceName, Place> places_;
    // Who was let in and when, until the body is there or its time is over.
    std::deque<std::pair<std::string, std::int64_t>> reading_;
};

}  // namespace parley
