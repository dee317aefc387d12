#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/inbound.hpp"
#include "plugin/link.hpp"
#include "plugin/services.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace parley {

namespace {

// One listener of a channel's run, and the requests that wait for its answers.
class InboundOperation final : public Operation, public InboundListener {
public:
    using Operation::Operation;
    ~InboundOperation() override { close(); }

    void begin() {
        auto& deps = desk_.deps();
        auto const& spec = desk_.spec();
        auto refuse = [&](std::string const& why) {
            fail(PARLEY_INBOUND_CLOSED, Error(Fault::denied, why));
        };
        auto const& need = spec.file->manifest().inbound;
        if (!need || !desk_.is_run(call_))
            return refuse("only the run of a channel hears webhooks");
        if (!spec.inbound && holds("inbound-off"))
            return refuse(
                "webhooks are off for this instance; the operator has to write inbound: true");
        auto bound = spec.secrets.find(need->secret);
        if (bound == spec.secrets.end() || !deps.secret)
            return refuse("the secret " + need->secret +
                          ", which webhooks are verified with, is not bound");
        // A key of another form would refuse every request, and nobody would know why.
        auto secret = deps.secret(bound->second);
        if (!secret) return refuse(secret.error().what);
        if (need->scheme == InboundNeed::Scheme::hmac)
            if (auto made = sign(need->key, secret->reveal(), {}, {}); !made)
                return refuse("the secret " + need->secret + ": " + made.error().what);
        std::shared_ptr<InboundListener> self(shared_from_this(), this);
        if (!deps.inbound || !deps.inbound->open(spec.name, self))
            return refuse("there is a listener already");
        is_open_ = true;
    }

    WorkerSpec const& worker() const override { return desk_.spec(); }

    Result<> ask(InboundRequest request, std::function<void(Result<InboundAnswer>)> done) override {
        auto cannot = [](char const* why) { return Error(Fault::unavailable, why); };
        if (!is_open_ || desk_.is_crowded()) return cannot("the plugin does not keep up");
        if (open_.size() >= limits::inbound_open)
            return cannot("too many requests wait for the plugin");
        auto number = ++last_;
        JsonWriter out;
        out.begin('{').pair("request", static_cast<std::int64_t>(number)).key("headers").begin('[');
        for (auto const& [name, value] : request.headers)
            out.begin('[').string(name).string(is_utf8(value) ? value : visible(value)).end(']');
        out.end(']').pair("body", request.body).end('}');
        auto& waiting = open_[number];
        waiting.done = std::move(done);
        waiting.timer = desk_.deps().loop->after(limits::inbound_answer_time, [this, number] {
            auto self = shared_from_this();
            tell(number, PARLEY_INBOUND_GONE, gone(number));
            end(number, Error(Fault::timed_out, "the plugin did not answer in time"));
        });
        tell(number, PARLEY_INBOUND_REQUEST, out.text());
        return ok();
    }

    // True unless the plugin speaks of a request that it was never given.
    bool answer(std::uint64_t number, std::string_view text) override {
        if ((number == 0 || number > last_) && holds("inbound-foreign")) return false;
        auto answer = read_inbound_answer(text);
        if (answer && (holds_secret(answer->body) || holds_secret(answer->content_type)))
            answer = Error(Fault::secret, "a secret stands in the plugin's answer");
        end(number, std::move(answer));
        return true;
    }

    void ended() override { close(); }

private:
    struct Waiting {
        std::function<void(Result<InboundAnswer>)> done;
        Loop::Handle timer;
    };

    static std::string gone(std::uint64_t number) {
        JsonWriter out;
        return out.begin('{').pair("request", static_cast<std::int64_t>(number)).end('}').take();
    }
    // Each event begins with its request's number, so that the worker need not read JSON.
    void tell(std::uint64_t number, std::uint32_t kind, std::string_view json, bool last = false) {
        std::string bytes(bytes_of(number));
        desk_.tell(id_, kind, bytes.append(json), last);
    }
    void say(std::uint32_t kind, std::string_view json, bool last) override {
        tell(0, kind, json, last);
    }
    void end(std::uint64_t number, Result<InboundAnswer> answer) {
        auto node = open_.extract(number);
        if (node) node.mapped().done(std::move(answer));
    }
    void close() {
        if (!std::exchange(is_open_, false)) return;
        desk_.deps().inbound->close(desk_.spec().name);
        // Those who wait are told; one of them may come back at once, and finds nobody.
        for (auto& [number, waiting] : std::exchange(open_, {}))
            waiting.done(Error(Fault::unavailable, "the plugin listens no more"));
    }

    bool is_open_ = false;
    std::uint64_t last_ = 0;  // numbers of requests, from 1
    std::map<std::uint64_t, Waiting> open_;
};

}  // namespace

Result<InboundAnswer> read_inbound_answer(std::string_view text) {
    auto bad = [](char const* what) { return Error(Fault::peer_failed, what); };
    if (text.size() > limits::inbound_answer_bytes) return bad("the plugin's answer is too long");
    auto value = parse_json(text);
    if (!value || !value->is_object()) return bad("the plugin's answer is no JSON object");
    InboundAnswer answer;
    auto status = int_at(*value, "status", 0);
    // Nothing that would send the caller elsewhere, or keep the connection.
    if (status < 200 || status > 599 || status / 100 == 3)
        return bad("the plugin's answer has no status of 2xx, 4xx or 5xx");
    answer.status = static_cast<int>(status);
    answer.body = text_at(*value, "body");
    answer.content_type = text_at(*value, "content_type", "text/plain; charset=utf-8");
    auto wait = int_at(*value, "retry_after_s", 0);
    answer.retry_after_s = static_cast<int>(std::clamp<std::int64_t>(wait, 0, 3600));
    return answer;
}

bool InboundDesk::open(std::string const& instance, std::weak_ptr<InboundListener> listener) {
    auto& place = listeners_[instance];
    if (!place.expired()) return false;
    place = std::move(listener);
    return true;
}

void InboundDesk::close(std::string const& instance) {
    listeners_.erase(instance);
}

std::shared_ptr<InboundListener> InboundDesk::find(std::string const& instance) const {
    auto found = listeners_.find(instance);
    return found == listeners_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<InboundDesk> make_inbound_desk() {
    return std::make_shared<InboundDesk>();
}

std::shared_ptr<Operation> start_inbound(Desk& desk, std::uint64_t call, std::uint64_t id) {
    auto operation = std::make_shared<InboundOperation>(desk, call, id, PARLEY_S_INBOUND);
    desk.deps().loop->post([weak = std::weak_ptr(operation)] {
        if (auto self = weak.lock()) self->begin();
    });
    return operation;
}

}  // namespace parley
