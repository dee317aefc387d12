#include "plugin/services.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/egress.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

namespace parley {

namespace {

char const* code_of(Fault fault) {
    switch (fault) {
        case Fault::denied:
        case Fault::secret:
            return "denied";
        case Fault::bad_input:
            return "invalid";
        case Fault::timed_out:
            return "timeout";
        case Fault::over_budget:
            return "limit";
        case Fault::peer_failed:
        case Fault::unavailable:
        case Fault::not_found:
            return "peer";
        default:
            return "internal";
    }
}

class TimerOperation final : public Operation {
public:
    using Operation::Operation;
    void begin(std::uint32_t after_ms) {
        timer_ = desk_.deps().loop->after(std::chrono::milliseconds(after_ms), [this] {
            auto self = shared_from_this();  // tell() drops this operation
            desk_.tell(id_, PARLEY_TIMER_FIRED, {}, true);
        });
    }

private:
    Loop::Handle timer_;
};

// Keys are the plugin's own bytes; they are looked up below the instance's name only.
class KvOperation final : public Operation {
public:
    using Operation::Operation;

    void begin(std::uint32_t verb, std::string key, std::string value) {
        auto& deps = desk_.deps();
        auto const& name = desk_.spec().name;
        if (key.empty() || key.size() > limits::kv_key_bytes ||
            value.size() > limits::kv_value_bytes)
            return fail(PARLEY_KV_FAILED, Error(Fault::bad_input, "a key or value of this size"));
        if (!is_utf8(key))
            return fail(PARLEY_KV_FAILED, Error(Fault::bad_input, "a key that is not UTF-8"));
        if (verb == 1) {
            auto found = deps.kv_get ? deps.kv_get(name, key) : std::nullopt;
            return found ? desk_.tell(id_, PARLEY_KV_DONE, *found, true)
                         : desk_.tell(id_, PARLEY_KV_MISSING, {}, true);
        }
        if (verb != 2 && verb != 3)
            return fail(PARLEY_KV_FAILED, Error(Fault::bad_input, "an unknown verb"));
        if (!deps.kv_put)
            return fail(PARLEY_KV_FAILED, Error(Fault::unavailable, "there is no store here"));
        if (holds_secret(key) || holds_secret(value))
            return fail(PARLEY_KV_FAILED, Error(Fault::secret, "a secret may not be stored"));
        auto kept = verb == 2 ? std::optional(std::move(value)) : std::nullopt;
        deps.kv_put(name, std::move(key), std::move(kept), [weak = weak_from_this()] {
            if (auto self = weak.lock()) static_cast<KvOperation&>(*self).done();
        });
    }

private:
    void done() { desk_.tell(id_, PARLEY_KV_DONE, {}, true); }
};

// The bytes themselves: only of a field that the manifest declares so and the operator grants.
class RevealOperation final : public Operation {
public:
    using Operation::Operation;

    void begin(std::string const& name) {
        auto& deps = desk_.deps();
        auto const& spec = desk_.spec();
        auto refuse = [&](std::string const& why) {
            fail(PARLEY_REVEAL_FAILED, Error(Fault::denied, "the secret " + name + " " + why));
        };
        auto const* field = spec.file->manifest().secret(name);
        if (!field || field->tier != SecretField::Tier::reveal)
            return refuse("is not declared as one to reveal");
        if (!spec.reveal.contains(name)) return refuse("is not in the operator's reveal list");
        auto bound = spec.secrets.find(name);
        if (bound == spec.secrets.end() || !deps.secret) return refuse("is not bound");
        auto secret = deps.secret(bound->second);
        if (!secret) return fail(PARLEY_REVEAL_FAILED, secret.error());
        if (deps.secret_used) deps.secret_used(bound->second, spec.name, "(revealed)");
        desk_.tell_secret(id_, PARLEY_REVEAL_DONE, secret->reveal());
    }
};

}  // namespace

void Operation::fail(std::uint32_t kind, Error const& error, bool retryable, bool sent,
                     int status) {
    auto self = shared_from_this();
    JsonWriter out;
    out.begin('{').pair("code", code_of(error.fault));
    // What a library or a peer said may hold anything; a secret is never handed on.
    auto find = desk_.deps().find_secret;
    bool clean = is_utf8(error.what) && (!find || find(error.what).empty());
    out.pair("message", clean ? std::string_view(error.what) : "(message withheld)");
    out.key("retryable").boolean(retryable).key("sent").boolean(sent);
    if (status != 0) out.pair("status", status);
    out.end('}');
    say(kind, out.text(), true);
}

bool Operation::holds_secret(std::string_view bytes) {
    auto const& find = desk_.deps().find_secret;
    if (!find || bytes.empty()) return false;
    auto name = find(bytes);
    if (name.empty()) return false;
    desk_.secret_found(call_, name);
    return true;
}

bool Operation::stream_holds_secret(std::string_view bytes) {
    if (!desk_.deps().find_secret) return false;
    tail_.append(bytes);
    bool found = holds_secret(tail_);
    if (tail_.size() > limits::secret_overlap_bytes)
        tail_.erase(0, tail_.size() - limits::secret_overlap_bytes);
    return found;
}

Result<> Operation::place_each(
    std::vector<Placement> const& placements, EgressRule const& rule, std::string const& host,
    std::function<Result<>(Placement const&, std::string_view secret)> const& place) {
    auto const& spec = desk_.spec();
    auto const& deps = desk_.deps();
    for (auto const& placement : placements) {
        auto const& field = *spec.file->manifest().secret(placement.field);
        if (!may_receive(field, rule, host))
            return Error(Fault::denied, "the secret " + field.name + " is not meant for " + host);
        auto name = spec.secrets.find(field.name);
        if (name == spec.secrets.end() || !deps.secret)
            return Error(Fault::denied, "the secret " + field.name + " is not bound");
        TRY(secret, deps.secret(name->second));
        MUST(place(placement, secret.reveal()));
        if (deps.secret_used) deps.secret_used(name->second, spec.name, host);
    }
    return ok();
}

std::shared_ptr<Operation> start_timer(Desk& desk, std::uint64_t call, std::uint64_t id,
                                       std::uint32_t after_ms) {
    auto operation = std::make_shared<TimerOperation>(desk, call, id, PARLEY_S_TIMER);
    operation->begin(after_ms);
    return operation;
}

std::shared_ptr<Operation> start_reveal(Desk& desk, std::uint64_t call, std::uint64_t id,
                                        std::string_view field) {
    auto operation = std::make_shared<RevealOperation>(desk, call, id, PARLEY_S_REVEAL);
    auto name = visible(clipped(field, limits::call_name_bytes));
    desk.deps().loop->post([weak = std::weak_ptr(operation), name] {
        if (auto self = weak.lock()) self->begin(name);
    });
    return operation;
}

std::shared_ptr<Operation> start_kv(Desk& desk, std::uint64_t call, std::uint64_t id,
                                    std::uint32_t verb, std::string_view key,
                                    std::string_view value) {
    auto operation = std::make_shared<KvOperation>(desk, call, id, PARLEY_S_KV);
    // Later, so that the desk knows the operation when it answers.
    desk.deps().loop->post([weak = std::weak_ptr(operation), verb, key = std::string(key),
                            value = std::string(value)]() mutable {
        if (auto self = weak.lock()) self->begin(verb, std::move(key), std::move(value));
    });
    return operation;
}

}  // namespace parley
