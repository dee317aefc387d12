#include "base/guard.hpp"
#include "plugin/services.hpp"
#include "plugin/tape.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/blobs.hpp"
#include "plugin/egress.hpp"
#include "plugin/headers.hpp"
#include "plugin/inject.hpp"
#include "wire/client.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace parley {

namespace {

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

// A request as the plugin asked for it, before any secret is in it.
struct Asked {
    Outgoing out;
    Url url;
    std::vector<Placement> placements;
    std::chrono::milliseconds timeout{60'000};
    std::size_t bytes_most = limits::egress_body_bytes;
    bool sse = false, to_blob = false;
};

// Between the quotes of a form's header, as browsers write it.
std::string quoted(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '"')
            out += "%22";
        else if (c == '\r')
            out += "%0D";
        else if (c == '\n')
            out += "%0A";
        else
            out += c;
    }
    return out;
}

bool is_media_type(std::string_view text) {
    auto slash = text.find('/');
    return slash != text.npos && is_token(text.substr(0, slash)) &&
           is_token(text.substr(slash + 1));
}

// Who asks, and where a request would be made; without a desk it is only judged.
struct Asker {
    Manifest const& manifest;
    Desk const* desk;

    Result<> may_use_blobs() const {
        if (!manifest.asks_for(PARLEY_HOST_BLOB) && holds("blob-declared"))
            return Error(Fault::denied, "the manifest does not name " PARLEY_HOST_BLOB);
        if (desk && !desk->deps().blobs)
            return Error(Fault::unavailable, "there are no blobs here");
        return ok();
    }
    Result<std::string> read_blob(std::string_view id) const {
        MUST(may_use_blobs());
        if (!desk) return std::string();
        TRY(blob, desk->deps().blobs->open(desk->spec().name, id));
        return blob->read(0, blob->size());
    }
};

// A multipart/form-data body of the request's parts. Its boundary is a digest of all that is in
// it, so nothing that is in it can hold the boundary.
Result<> read_parts(json::value const& parts, Asker const& asker, Asked& asked) {
    if (!parts.is_array() || parts.get_array().empty() ||
        parts.get_array().size() > limits::form_parts)
        return bad("parts is not a list, empty or too long");
    std::vector<std::string> pieces;
    Hasher digest("parley.form/1");
    std::size_t size = 0;
    for (auto const& part : parts.get_array()) {
        auto name = text_at(part, "name"), id = text_at(part, "blob");
        if (name.empty()) return bad("a part has no name");
        auto head = "Content-Disposition: form-data; name=\"" + quoted(name) + '"';
        std::string content(text_at(part, "value"));
        if (!id.empty()) {
            auto type = text_at(part, "type", "application/octet-stream");
            if (!is_media_type(type))
                return bad("the type of the part " + visible(name) + " is none");
            head += "; filename=\"" + quoted(text_at(part, "filename", "file")) +
                    "\"\r\nContent-Type: " + std::string(type);
            TRY(bytes, asker.read_blob(id));
            content = std::move(bytes);
        }
        size += content.size();
        if (size > limits::egress_body_bytes) return bad("the parts are too large");
        pieces.push_back(head + "\r\n\r\n" + content + "\r\n");
        digest.field(pieces.back());
    }
    // RFC 2046 allows 70 characters.
    auto boundary = "parley-" + hex(digest.done()).substr(0, 48);
    for (auto const& piece : pieces) asked.out.body += "--" + boundary + "\r\n" + piece;
    asked.out.body += "--" + boundary + "--\r\n";
    asked.out.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
    return ok();
}

// The body: the plugin's own bytes, a blob of its instance, or a form of such.
Result<> read_body(json::value const& request, std::string_view body, Asker const& asker,
                   Asked& asked) {
    auto id = text_at(request, "body_blob");
    auto const* parts = member(request, "parts");
    if (!body.empty() + !id.empty() + (parts != nullptr) > 1)
        return bad("a body, body_blob and parts exclude each other");
    asked.out.body = body;
    if (!id.empty()) {
        TRY(bytes, asker.read_blob(id));
        asked.out.body = std::move(bytes);
    }
    if (!parts) return ok();
    for (auto const& [name, value] : asked.out.headers)
        if (same_name(name, "content-type"))
            return bad("with parts, Content-Type is the host's to set");
    return read_parts(*parts, asker, asked);
}

Result<Asked> read_request(std::string_view text, std::string_view body, Asker const& asker) {
    if (text.size() > limits::egress_request_bytes) return bad("the request is too large");
    if (body.size() > limits::egress_body_bytes) return bad("the body is too large");
    TRY(request, parse_json(text));
    Asked asked;
    asked.out.method = text_at(request, "method", "GET");
    if (asked.out.method.empty() || asked.out.method.size() > 16 ||
        asked.out.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos ||
        asked.out.method == "CONNECT" || asked.out.method == "TRACE")
        return bad("the method is none");
    TRY(url, parse_url(text_at(request, "url")));
    asked.url = std::move(url);
    asked.out.origin = asked.url.origin();
    asked.out.path_and_query = asked.url.path_and_query;
    TRY(headers, read_headers(request));
    asked.out.headers = std::move(headers);
    MUST(read_body(request, body, asker, asked));
    auto timeout = int_at(request, "timeout_ms", 60'000);
    auto longest = std::chrono::milliseconds(limits::egress_time).count();
    asked.timeout = std::chrono::milliseconds(std::clamp<std::int64_t>(timeout, 1, longest));
    asked.bytes_most = static_cast<std::size_t>(std::clamp<std::int64_t>(
        int_at(request, "max_bytes", limits::egress_body_bytes), 0, limits::egress_body_bytes));
    auto framing = text_at(request, "framing", "none");
    asked.sse = framing == "sse";
    if (!asked.sse && framing != "none") return bad("framing is neither none nor sse");
    asked.to_blob = bool_at(request, "to_blob", false);
    if (asked.to_blob && asked.sse) return bad("to_blob and framing exclude each other");
    if (asked.to_blob) {
        MUST(asker.may_use_blobs());
        if (asker.desk && asker.desk->deps().tape) return bad("a tape holds no blobs");
        asked.bytes_most = std::min(asked.bytes_most, limits::blob_bytes);
    }
    TRY(placements, read_placements(member(request, "inject"), asker.manifest));
    asked.placements = std::move(placements);
    return asked;
}

class HttpOperation final : public Operation {
public:
    using Operation::Operation;
    ~HttpOperation() override { stop(); }

    void begin(std::string_view request, std::string_view body) {
        auto asked = read_request(request, body, {desk_.spec().file->manifest(), &desk_});
        if (!asked) return fail(PARLEY_HTTP_FAILED, asked.error());
        asked_ = std::move(*asked);
        if (desk_.deps().tape) {
            told_.method = asked_.out.method;
            told_.url = asked_.url.origin() + asked_.url.path_and_query;
            told_.body = asked_.out.body;
        }
        // Whatever the plugin may have got hold of, it does not leave by itself.
        bool found = holds_secret(asked_.out.origin + asked_.out.path_and_query) ||
                     holds_secret(asked_.out.body);
        for (auto const& [name, value] : asked_.out.headers)
            found = found || holds_secret(name) || holds_secret(value);
        for (auto const& placement : asked_.placements)
            found = found || holds_secret(placement.prefix) || holds_secret(placement.suffix);
        if (found && holds("secret-in-request"))
            return fail(PARLEY_HTTP_FAILED,
                        Error(Fault::secret, "a secret stands in the request itself"));
        send(true);
    }

    // What is told goes on the tape too, whole when it has ended.
    void say(std::uint32_t kind, std::string_view bytes, bool last) override {
        if (auto const& tape = desk_.deps().tape; tape && !tape->is_playing()) {
            told_.events.emplace_back(kind, bytes);
            if (last) keep(*tape);
        }
        Operation::say(kind, bytes, last);
    }

    // A plugin that stops reading has had its answer: so far it goes on the tape.
    void ended() override {
        auto const& tape = desk_.deps().tape;
        if (!tape || tape->is_playing() || told_.events.empty()) return;
        told_.events.emplace_back(PARLEY_HTTP_DONE, "");
        keep(*tape);
    }

    void drained() override {
        if (paused_ && fetch_) desk_.deps().http->pause(fetch_, paused_ = false);
    }

private:
    void keep(Tape& tape) {
        if (!told_.url.empty()) tape.add(told_);
        told_.events.clear();
    }

    // `first`, or the hop of a redirect. Every hop is held against the rules.
    void send(bool with_secrets) {
        auto rule = admit_http(desk_.spec(), asked_.url, asked_.out.method);
        if (!rule) return fail(PARLEY_HTTP_FAILED, rule.error());
        rule_ = std::move(*rule);
        desk_.when_may_leave(call_, [weak = weak_from_this(), with_secrets] {
            if (auto self = weak.lock()) static_cast<HttpOperation&>(*self).leave(with_secrets);
        });
    }

    void leave(bool with_secrets) {
        auto keep_alive = shared_from_this();
        if (auto const& tape = desk_.deps().tape; tape && tape->is_playing()) return play(*tape);
        auto out = asked_.out;
        if (with_secrets)
            if (auto placed = place_all(out); !placed) {
                desk_.stayed(call_);
                return fail(PARLEY_HTTP_FAILED, placed.error());
            }
        FetchRequest request;
        request.method = out.method;
        request.url = out.origin + out.path_and_query;
        request.headers = std::move(out.headers);
        request.body = std::move(out.body);
        request.timeout = asked_.timeout;
        request.response_bytes_most = asked_.bytes_most;
        std::weak_ptr<Operation> weak = weak_from_this();
        auto with_self = [weak](auto member, auto&&... arguments) {
            if (auto self = weak.lock())
                (static_cast<HttpOperation&>(*self).*
                 member)(std::forward<decltype(arguments)>(arguments)...);
        };
        FetchSink sink;
        sink.on_head = [with_self](FetchHead head) {
            with_self(&HttpOperation::on_head, std::move(head));
        };
        sink.on_data = [with_self](std::string_view bytes) {
            with_self(&HttpOperation::on_data, bytes);
        };
        sink.on_done = [with_self](Result<> outcome, bool sent) {
            with_self(&HttpOperation::on_done, std::move(outcome), sent);
        };
        auto check = [weak, rule = rule_, host = asked_.url.host](std::string_view address,
                                                                  std::uint16_t port) {
            auto self = weak.lock();
            return self && may_connect(static_cast<HttpOperation&>(*self).desk_.spec(), rule, host,
                                       address, port);
        };
        if (!desk_.deps().http)
            return fail(PARLEY_HTTP_FAILED, Error(Fault::unavailable, "there is no HTTP here"));
        fetch_ = desk_.deps().http->start(std::move(request), std::move(check), std::move(sink));
    }

    // From the tape, an event each turn of the loop, as from a network.
    void play(Tape& tape) {
        auto found = tape.next(asked_.out.method, asked_.url.origin() + asked_.url.path_and_query,
                               asked_.out.body);
        if (!found) return fail(PARLEY_HTTP_FAILED, found.error());
        play_on(**found, 0);
    }
    void play_on(Tape::Exchange const& exchange, std::size_t at) {
        desk_.deps().loop->post([weak = weak_from_this(), tape = desk_.deps().tape, &exchange, at] {
            auto self = weak.lock();
            if (!self) return;
            auto& operation = static_cast<HttpOperation&>(*self);
            bool last = at + 1 == exchange.events.size();
            auto const& [kind, bytes] = exchange.events[at];
            operation.say(kind, bytes, last);
            if (!last) operation.play_on(exchange, at + 1);
        });
    }

    Result<> place_all(Outgoing& out) {
        return place_each(asked_.placements, rule_, asked_.url.host,
                          [&out](Placement const& placement, std::string_view secret) {
                              return place_secret(out, placement, secret);
                          });
    }

    // A redirect of a host that the operator wrote into the config is handed on as it is.
    bool is_redirect(FetchHead const& head) const {
        if (!rule_.from_config.empty()) return false;
        return head.status == 301 || head.status == 302 || head.status == 303 ||
               head.status == 307 || head.status == 308;
    }

    void follow(std::string_view location, int status) {
        if (++hops_ > limits::redirects)
            return fail(PARLEY_HTTP_FAILED, Error(Fault::peer_failed, "too many redirects"), false,
                        true);
        if (holds_secret(location))
            return fail(PARLEY_HTTP_FAILED, Error(Fault::secret, "the redirect holds a secret"),
                        false, true);
        auto target = redirect_target(asked_.url, location);
        if (!target) return fail(PARLEY_HTTP_FAILED, target.error(), false, true);
        bool same_origin = target->origin() == asked_.url.origin();
        if (!same_origin) {
            asked_.placements.clear();
            std::erase_if(asked_.out.headers, [](auto const& header) {
                return is_one_of(header.first, {"authorization", "cookie", "x-api-key"});
            });
        } else {
            // The new address is the server's: the slots of the old one mean nothing in it.
            std::erase_if(asked_.placements, [](auto const& placement) {
                return placement.kind == Placement::Kind::query ||
                       placement.kind == Placement::Kind::path;
            });
        }
        bool drops_body = status == 303 || (status <= 302 && asked_.out.method == "POST");
        if (drops_body && asked_.out.method != "HEAD") {
            asked_.out.method = "GET";
            asked_.out.body.clear();
            std::erase_if(asked_.placements, [](auto const& placement) {
                return placement.kind == Placement::Kind::body;
            });
            std::erase_if(asked_.out.headers, [](auto const& header) {
                return is_one_of(header.first, {"content-type", "content-encoding"});
            });
        }
        asked_.url = std::move(*target);
        asked_.out.origin = asked_.url.origin();
        asked_.out.path_and_query = asked_.url.path_and_query;
        send(true);
    }

    void on_head(FetchHead head) {
        auto keep_alive = shared_from_this();
        if (is_redirect(head)) {
            auto location =
                std::find_if(head.headers.begin(), head.headers.end(),
                             [](auto const& h) { return same_name(h.first, "location"); });
            if (location != head.headers.end()) {
                stop();
                return follow(location->second, head.status);
            }
        }
        std::string_view type;
        JsonWriter out;
        out.begin('{').pair("status", head.status).key("headers").begin('[');
        for (auto const& [name, value] : head.headers) {
            if (holds_secret(value))
                return cut_off(Error(Fault::secret, "a header of the answer holds a secret"));
            if (same_name(name, "content-type")) type = value;
            out.begin('[').string(is_utf8(name) ? name : visible(name));
            out.string(is_utf8(value) ? value : visible(value)).end(']');
        }
        out.end(']').end('}');
        // An error's body is no event stream, whatever was asked for.
        events_ = asked_.sse && head.status >= 200 && head.status < 300 &&
                  (type.empty() || type.find("event-stream") != type.npos);
        if (asked_.to_blob && head.status >= 200 && head.status < 300) {
            auto draft = desk_.deps().blobs->begin(desk_.spec().name);
            if (!draft) return cut_off(draft.error());
            draft_ = std::move(*draft);
        }
        say(PARLEY_HTTP_HEAD, out.text(), false);
    }

    void on_data(std::string_view bytes) {
        auto keep_alive = shared_from_this();
        if (stream_holds_secret(bytes))
            return cut_off(Error(Fault::secret, "the answer holds a secret"));
        if (draft_) {
            if (auto added = draft_->add(bytes); !added) return cut_off(added.error());
        } else if (!events_) {
            say(PARLEY_HTTP_DATA, bytes, false);
        } else {
            auto fed = parser_.feed(bytes, [this](EventParser::Event event) {
                JsonWriter out;
                auto shown = [](std::string const& text) {
                    return is_utf8(text) ? text : visible(text);
                };
                out.begin('{').pair("event", shown(event.event)).pair("data", shown(event.data));
                out.pair("id", shown(event.id)).end('}');
                say(PARLEY_HTTP_EVENT, out.text(), false);
            });
            if (!fed) return cut_off(fed.error());
        }
        if (!paused_ && fetch_ && desk_.is_crowded())
            desk_.deps().http->pause(fetch_, paused_ = true);
    }

    void on_done(Result<> outcome, bool sent) {
        auto keep_alive = shared_from_this();
        fetch_.reset();
        if (outcome && draft_) {
            auto blob = draft_->finish();
            if (!blob) return fail(PARLEY_HTTP_FAILED, blob.error(), false, true);
            return say(PARLEY_HTTP_DONE, to_text(*blob), true);
        }
        if (outcome) return say(PARLEY_HTTP_DONE, {}, true);
        if (!sent) desk_.stayed(call_);
        auto fault = outcome.error().fault;
        bool retryable =
            fault == Fault::timed_out || fault == Fault::peer_failed || fault == Fault::unavailable;
        fail(PARLEY_HTTP_FAILED, outcome.error(), retryable, sent);
    }

    void cut_off(Error const& error) {
        stop();
        fail(PARLEY_HTTP_FAILED, error, false, true);
    }

    void stop() {
        if (fetch_) desk_.deps().http->stop(std::exchange(fetch_, nullptr));
        paused_ = false;
    }

    Asked asked_;
    EgressRule rule_;
    Tape::Exchange told_;  // for a tape that is recorded
    HttpClient::Handle fetch_;
    EventParser parser_;
    std::unique_ptr<Blobs::Draft> draft_;  // with to_blob, from the head of a good answer on
    int hops_ = 0;
    bool events_ = false, paused_ = false;
};

}  // namespace

std::shared_ptr<Operation> start_http(Desk& desk, std::uint64_t call, std::uint64_t id,
                                      std::string_view request, std::string_view body) {
    auto operation = std::make_shared<HttpOperation>(desk, call, id, PARLEY_S_HTTP);
    // Later, so that the desk knows the operation when it answers.
    desk.deps().loop->post([weak = std::weak_ptr(operation), request = std::string(request),
                            body = std::string(body)] {
        if (auto self = weak.lock()) self->begin(request, body);
    });
    return operation;
}

Result<> judge_http(WorkerSpec const& spec, std::string_view request, std::string_view body) {
    auto const& manifest = spec.file->manifest();
    TRY(asked, read_request(request, body, {manifest, nullptr}));
    TRY(rule, admit_http(spec, asked.url, asked.out.method));
    for (auto const& placement : asked.placements)
        if (!may_receive(*manifest.secret(placement.field), rule, asked.url.host))
            return Error(Fault::denied,
                         "the secret " + placement.field + " is not meant for " + asked.url.host);
    return ok();
}

}  // namespace parley
