#include "plugin/services.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/egress.hpp"
#include "plugin/inject.hpp"
#include "plugin/link.hpp"
#include "wire/stream.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace parley {

namespace {

Result<StreamTarget> read_target(std::string_view text) {
    TRY(request, parse_json(text));
    StreamTarget target;
    target.host = text_at(request, "host");
    for (auto& c : target.host)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    auto port = int_at(request, "port");
    target.tls = bool_at(request, "tls", true);
    target.connect_timeout = std::chrono::milliseconds(
        std::clamp<std::int64_t>(int_at(request, "timeout_ms", 20'000), 1, 120'000));
    if (target.host.empty() || target.host.size() > 253 || port < 1 || port > 65535)
        return Error(Fault::bad_input, "host or port make no sense");
    target.port = static_cast<std::uint16_t>(port);
    return target;
}

class StreamOperation final : public Operation {
public:
    using Operation::Operation;

    void begin(std::string_view text) {
        auto target = read_target(text);
        if (!target) return fail(PARLEY_STREAM_CLOSED, target.error());
        target_ = std::move(*target);
        auto rule = admit_stream(desk_.spec(), target_.host, target_.port, target_.tls);
        if (!rule) return fail(PARLEY_STREAM_CLOSED, rule.error());
        rule_ = std::move(*rule);
        desk_.when_may_leave(call_, [weak = weak_from_this()] {
            if (auto self = weak.lock()) static_cast<StreamOperation&>(*self).leave();
        });
    }

    bool hear(std::uint16_t, std::string_view body) override {
        std::uint32_t length = 0;
        if (!take_number(body, length) || length > body.size()) return false;
        write(body.substr(0, length), body.substr(length));
        return true;
    }

    void drained() override {
        if (stream_ && paused_) stream_->pause(paused_ = false);
    }

private:
    void write(std::string_view inject, std::string_view bytes) {
        auto keep_alive = shared_from_this();
        credit_owed_ += static_cast<std::uint32_t>(std::max<std::size_t>(bytes.size(), 1));
        if (credit_owed_ > 2 * PARLEY_CREDIT)
            return close(Error(Fault::over_budget, "more was written than the stream may hold"));
        if (holds_secret(bytes) || holds_secret(inject))
            return close(Error(Fault::secret, "a secret stands in the bytes to send"));
        std::string out(bytes);
        if (!inject.empty())
            if (auto placed = place_all(inject, out); !placed) return close(placed.error());
        if (is_open_) {
            stream_->write(std::move(out));
            return give_credit();
        }
        waiting_ += out;  // bounded by the credit, which comes back only when it is open
    }

    void leave() {
        StreamSink sink;
        std::weak_ptr<Operation> weak = weak_from_this();
        auto with_self = [weak](auto member, auto&&... arguments) {
            if (auto self = weak.lock())
                (static_cast<StreamOperation&>(*self).*
                 member)(std::forward<decltype(arguments)>(arguments)...);
        };
        sink.on_open = [with_self](std::string peer, bool tls) {
            with_self(&StreamOperation::on_open, std::move(peer), tls);
        };
        sink.on_data = [with_self](std::string_view bytes) {
            with_self(&StreamOperation::on_data, bytes);
        };
        sink.on_closed = [with_self](Result<> why) {
            with_self(&StreamOperation::on_closed, std::move(why));
        };
        auto check = [weak, rule = rule_, host = target_.host](std::string_view address,
                                                               std::uint16_t port) {
            auto self = weak.lock();
            return self && may_connect(static_cast<StreamOperation&>(*self).desk_.spec(), rule,
                                       host, address, port);
        };
        stream_ = open_stream(*desk_.deps().loop, target_, std::move(check), std::move(sink));
    }

    Result<> place_all(std::string_view inject, std::string& out) {
        TRY(value, parse_json(inject));
        TRY(placements, read_placements(&value, desk_.spec().file->manifest()));
        return place_each(placements, rule_, target_.host,
                          [&out](Placement const& placement, std::string_view secret) {
                              return place_in_stream(out, placement, secret);
                          });
    }

    void on_open(std::string peer, bool tls) {
        is_open_ = true;
        JsonWriter out;
        out.begin('{').pair("peer", peer).key("tls").boolean(tls).end('}');
        desk_.tell(id_, PARLEY_STREAM_OPENED, out.text(), false);
        if (waiting_.empty()) return;
        stream_->write(std::exchange(waiting_, {}));
        give_credit();
    }

    void on_data(std::string_view bytes) {
        auto keep_alive = shared_from_this();
        if (stream_holds_secret(bytes))
            return close(Error(Fault::secret, "what the peer sent holds a secret"));
        desk_.tell(id_, PARLEY_STREAM_DATA, bytes, false);
        if (stream_ && !paused_ && desk_.is_crowded()) stream_->pause(paused_ = true);
    }

    void on_closed(Result<> why) {
        auto keep_alive = shared_from_this();
        if (!why) return fail(PARLEY_STREAM_CLOSED, why.error(), true, is_open_);
        desk_.tell(id_, PARLEY_STREAM_CLOSED, "{}", true);
    }

    void close(Error const& error) {
        stream_.reset();
        fail(PARLEY_STREAM_CLOSED, error, false, is_open_);
    }

    // Returned as data leaves. The stream does not tell when, so a slow peer is asked after.
    void give_credit() {
        if (!stream_ || credit_owed_ == 0) return;
        if (stream_->queued_bytes() < PARLEY_CREDIT / 2) {
            desk_.give_credit(id_, std::exchange(credit_owed_, 0));
        } else if (!asking_) {
            asking_ = desk_.deps().loop->after(std::chrono::milliseconds(10), [this] {
                asking_.reset();
                give_credit();
            });
        }
    }

    StreamTarget target_;
    EgressRule rule_;
    std::unique_ptr<Stream> stream_;
    std::string waiting_;
    std::uint32_t credit_owed_ = 0;
    Loop::Handle asking_;
    bool is_open_ = false, paused_ = false;
};

}  // namespace

std::shared_ptr<Operation> start_stream(Desk& desk, std::uint64_t call, std::uint64_t id,
                                        std::string_view request) {
    auto operation = std::make_shared<StreamOperation>(desk, call, id, PARLEY_S_STREAM);
    desk.deps().loop->post([weak = std::weak_ptr(operation), request = std::string(request)] {
        if (auto self = weak.lock()) self->begin(request);
    });
    return operation;
}

Result<> judge_stream(WorkerSpec const& spec, std::string_view request) {
    TRY(target, read_target(request));
    MUST(admit_stream(spec, target.host, target.port, target.tls));
    return ok();
}

Result<> judge_write(WorkerSpec const& spec, std::string_view request, std::string_view inject) {
    if (inject.empty()) return ok();
    auto const& manifest = spec.file->manifest();
    TRY(target, read_target(request));
    TRY(rule, admit_stream(spec, target.host, target.port, target.tls));
    TRY(value, parse_json(inject));
    TRY(placements, read_placements(&value, manifest));
    for (auto const& placement : placements)
        if (!may_receive(*manifest.secret(placement.field), rule, target.host))
            return Error(Fault::denied,
                         "the secret " + placement.field + " is not meant for " + target.host);
    return ok();
}

}  // namespace parley
