#pragma once

// What the host lends a plugin: HTTP, streams, WebSockets, timers, a store, blobs, a line for the
// operator. All of it is asynchronous; callbacks come on the strand.
#include "parley/call.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {
inline namespace sdk_1 {

// Puts a secret, named as in the manifest, into a slot of a request; the plugin never sees it.
// Slots: header:NAME, query:NAME, path:TEXT, body:/json/pointer, and stream:TEXT for streams; for a
// message of a WebSocket the last two.
struct Inject {
    std::string slot = {}, secret = {};
    std::string prefix = {}, suffix = {};
    std::string encode = "none";  // or percent, base64, hmac-sha256-hex, hmac-sha256-base64
    // Of an hmac, for a secret of tier compute: over what ("{webhook-id}.{body}": headers of the
    // request, the body last), and whether the key is the secret's bytes or what they say as base64.
    std::string signed_text = {};
    std::string key = {};  // or base64
};

// One field of a multipart/form-data body: a value, or with `blob` a file.
struct HttpPart {
    std::string name = {}, value = {};
    std::string blob = {}, filename = {}, type = {};
};

struct HttpRequest {
    std::string method = "GET";
    std::string url = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::chrono::milliseconds timeout{0};  // 0: the host's own
    bool events = false;                   // read the body as server-sent events
    std::uint64_t max_bytes = 0;           // 0: the host's own
    std::vector<Inject> inject = {};
    std::string body_blob = {};        // the body is this blob
    std::vector<HttpPart> parts = {};  // or the host makes a form of these
    bool to_blob = false;              // the body of a 2xx answer comes as a blob
};

// Bytes that the host keeps for the instance, named by their content.
struct Blob {
    std::string id = {};
    std::uint64_t bytes = 0;
};

struct HttpHead {
    int status = 0;
    Json headers;  // [["name","value"],…]

    // The first of that name, compared without case; empty when there is none.
    std::string_view header(std::string_view name) const {
        auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        auto same = [&](char a, char b) { return lower(a) == lower(b); };
        for (Json const pair : headers) {
            if (pair.size() != 2) continue;
            auto const field = (*pair.begin()).text();
            if (!std::equal(field.begin(), field.end(), name.begin(), name.end(), same)) continue;
            return (*++pair.begin()).text();
        }
        return {};
    }
};

struct ServerEvent {
    std::string_view event = {}, data = {}, id = {};
};

struct HttpCallbacks {
    std::function<void(HttpHead const& head)> on_head = {};
    std::function<void(std::string_view bytes)> on_data = {};
    std::function<void(ServerEvent const& event)> on_event = {};
    std::function<void(Blob const& blob)> on_blob = {};  // with to_blob, right before on_done
    // Exactly one of these two comes last, unless the operation is stopped. on_failed may come
    // before http() returns, when the host does not even begin.
    std::function<void()> on_done = {};
    std::function<void(Failure const& failure)> on_failed = {};
};

struct StreamCallbacks {
    std::function<void(std::string_view peer)> on_open = {};
    std::function<void(std::string_view bytes)> on_data = {};
    // Comes last, unless the stream is stopped. Nothing when the peer closed in order. May come
    // before stream() returns, when the host does not even begin.
    std::function<void(std::optional<Failure> const& failure)> on_closed = {};
};

struct WebSocketRequest {
    std::string url = {};  // wss://…
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::vector<std::string> subprotocols = {};  // offered, the first one preferred
    std::chrono::milliseconds timeout{0};        // until it is open; 0: the host's own
    std::uint64_t max_bytes = 0;                 // of one message that comes; 0: the host's own
    std::vector<Inject> inject = {};
};

struct WebSocketCallbacks {
    std::function<void(std::string_view subprotocol)> on_open = {};
    std::function<void(std::string_view text)> on_text = {};  // one whole message, UTF-8
    std::function<void(std::string_view bytes)> on_binary = {};
    // Exactly one of these two comes last, unless the socket is closed or stopped. `code` is the
    // peer's, 1005 when it gave none. on_failed may come before ws() returns, when the host does not
    // even begin.
    std::function<void(int code, std::string_view reason)> on_closed = {};
    std::function<void(Failure const& failure)> on_failed = {};
};

struct KvAnswer {
    std::optional<std::string> value;  // get: nothing when there is no such key
    std::optional<Failure> failure = {};
};

// A handle on something under way. It may outlive it: then its functions do nothing.
class Operation {
public:
    Operation() = default;
    parley_id id() const { return id_; }
    bool is_open() const { return runtime_ && runtime_->listens(service_, id_); }
    // No callback comes any more.
    void stop() {
        if (runtime_) runtime_->stop(service_, id_);
    }

protected:
    friend class Host;
    Operation(detail::Runtime* runtime, detail::Service service, parley_id id)
        : runtime_(runtime), service_(service), id_(id) {}
    detail::Runtime* runtime_ = nullptr;
    detail::Service service_ = detail::Service::timer;
    parley_id id_ = 0;
};

// A request from outside, which the host has verified; to be answered once, from any thread. Dropped
// unanswered, it is answered 503, so that its sender comes again.
class WebhookRequest {
public:
    WebhookRequest() = default;
    WebhookRequest(WebhookRequest&& other) noexcept
        : runtime_(std::exchange(other.runtime_, nullptr)),
          table_(other.table_),
          operation_(other.operation_),
          number_(other.number_),
          told_(std::move(other.told_)) {}
    WebhookRequest& operator=(WebhookRequest&& other) noexcept {
        if (this == &other) return *this;
        drop();
        runtime_ = std::exchange(other.runtime_, nullptr);
        table_ = other.table_;
        operation_ = other.operation_;
        number_ = other.number_;
        told_ = std::move(other.told_);
        return *this;
    }
    WebhookRequest(WebhookRequest const&) = delete;
    WebhookRequest& operator=(WebhookRequest const&) = delete;
    ~WebhookRequest() { drop(); }

    std::uint64_t number() const { return number_; }
    std::string_view body() const { return told_["body"].text(); }
    // One that the manifest's `inbound` lists, in lower case; empty when it did not come.
    std::string_view header(std::string_view name) const {
        for (Json const pair : told_["headers"])
            if (pair.size() == 2 && (*pair.begin()).text() == name) return (*++pair.begin()).text();
        return {};
    }

    // Does nothing when it was answered, or when nobody waits any more. What it made the plugin
    // emit must be durable when this says 2xx: see UntilDurable.
    void answer(int status, std::string_view body = {},
                std::string_view content_type = "text/plain; charset=utf-8") {
        give(json_of("status", status, "body", body, "content_type", content_type));
    }
    // Come again after that time.
    void refuse_for_now(std::chrono::seconds wait = std::chrono::seconds(5)) {
        give(json_of("status", 503, "retry_after_s", wait.count()));
    }

private:
    friend class Host;
    void give(std::string const& json) {
        auto* const runtime = std::exchange(runtime_, nullptr);
        if (!runtime) return;
        auto const status = table_->answer(runtime->host(), operation_, number_, json.data(), json.size());
        if (status != PARLEY_E_LIMIT) return;
        static constexpr std::string_view too_long = R"({"status":500})";
        table_->answer(runtime->host(), operation_, number_, too_long.data(), too_long.size());
    }
    void drop() noexcept {
        try {
            refuse_for_now();
        } catch (...) {
            // Out of memory: the host answers when its time is over.
        }
    }

    detail::Runtime* runtime_ = nullptr;
    parley_host_inbound_v1 const* table_ = nullptr;
    parley_id operation_ = 0;
    std::uint64_t number_ = 0;
    Json told_;
};

struct WebhookCallbacks {
    std::function<void(WebhookRequest request)> on_request = {};
    // Nobody waits for the answer of that one any more; what was begun for it may go on.
    std::function<void(std::uint64_t number)> on_gone = {};
    // Last, unless the operation is stopped: the host does not let it listen. May come before
    // webhooks() returns.
    std::function<void(Failure const& failure)> on_closed = {};
};

// Requests that wait until what they brought is durable. Hold each with the cursor of the message
// that was emitted for it, and hand every acknowledged cursor on; dropped, all of them are refused
// for now, and come again.
class UntilDurable {
public:
    void hold(std::string cursor, WebhookRequest request) {
        held_.emplace(std::move(cursor), std::move(request));
    }
    // How many were answered.
    std::size_t acknowledged(std::string_view cursor, int status = 200) {
        auto const [first, last] = held_.equal_range(std::string(cursor));
        std::size_t count = 0;
        for (auto at = first; at != last; ++at, ++count) at->second.answer(status);
        held_.erase(first, last);
        return count;
    }
    std::size_t size() const { return held_.size(); }
    void clear() { held_.clear(); }

private:
    std::multimap<std::string, WebhookRequest> held_;
};

class Stream : public Operation {
public:
    Stream() = default;
    // Queues a copy. Emit::pause: taken, but let what is queued leave first.
    Emit write(std::string_view bytes, std::vector<Inject> const& inject = {});

private:
    friend class Host;
    using Operation::Operation;
    parley_host_stream_v1 const* service_table_ = nullptr;
};

class BlobWriter : public Operation {
public:
    BlobWriter() = default;
    // Queues a copy. Emit::pause: taken, but let what is queued be stored first.
    Emit write(std::string_view bytes);
    void finish() {
        if (is_open()) service_table_->finish(runtime_->host(), id_);
    }

private:
    friend class Host;
    using Operation::Operation;
    parley_host_blob_v1 const* service_table_ = nullptr;
};

// Messages may be written before it is open: they wait.
class WebSocket : public Operation {
public:
    WebSocket() = default;
    // Each queues a copy of one whole message. Emit::pause: taken, but let what is queued leave first.
    Emit write_text(std::string_view text, std::vector<Inject> const& inject = {});
    Emit write_binary(std::string_view bytes, std::vector<Inject> const& inject = {});
    // What was written leaves first. `code` is 1000, 1001 or 3000 to 4999. No callback comes any more.
    void close(std::uint16_t code = 1000, std::string_view reason = {});

private:
    friend class Host;
    using Operation::Operation;
    Emit write(std::uint32_t kind, std::string_view bytes, std::vector<Inject> const& inject);
    parley_host_ws_v1 const* service_table_ = nullptr;
};

namespace detail {
inline Emit emit_of(parley_status answer) {
    if (answer == PARLEY_OK) return Emit::taken;
    return answer == PARLEY_PAUSE ? Emit::pause : Emit::refused;
}

inline void write_headers(JsonWriter& out,
                          std::vector<std::pair<std::string, std::string>> const& headers) {
    out.begin('[');
    for (auto const& [name, value] : headers) {
        out.begin('[').value(name).value(value).end(']');
    }
    out.end(']');
}

inline void write_inject(JsonWriter& out, std::vector<Inject> const& inject) {
    out.begin('[');
    for (auto const& one : inject) {
        out.begin('{').pair("slot", one.slot).pair("secret", one.secret);
        if (!one.prefix.empty()) out.pair("prefix", one.prefix);
        if (!one.suffix.empty()) out.pair("suffix", one.suffix);
        if (one.encode != "none") out.pair("encode", one.encode);
        if (!one.signed_text.empty()) out.pair("signed", one.signed_text);
        if (!one.key.empty()) out.pair("key", one.key);
        out.end('}');
    }
    out.end(']');
}

inline void write_parts(JsonWriter& out, std::vector<HttpPart> const& parts) {
    out.begin('[');
    for (auto const& part : parts) {
        out.begin('{').pair("name", part.name);
        if (part.blob.empty()) {
            out.pair("value", part.value);
        } else {
            out.pair("blob", part.blob);
            if (!part.filename.empty()) out.pair("filename", part.filename);
            if (!part.type.empty()) out.pair("type", part.type);
        }
        out.end('}');
    }
    out.end(']');
}

inline std::string json_from(WebSocketRequest const& request) {
    JsonWriter out;
    out.begin('{').pair("url", request.url);
    write_headers(out.key("headers"), request.headers);
    out.key("subprotocols").begin('[');
    for (auto const& name : request.subprotocols) out.value(name);
    out.end(']');
    if (request.timeout.count() > 0) out.pair("timeout_ms", request.timeout.count());
    if (request.max_bytes > 0) out.pair("max_bytes", request.max_bytes);
    if (!request.inject.empty()) write_inject(out.key("inject"), request.inject);
    return out.end('}').take();
}

inline std::string json_from(HttpRequest const& request) {
    JsonWriter out;
    out.begin('{').pair("method", request.method).pair("url", request.url);
    write_headers(out.key("headers"), request.headers);
    if (request.timeout.count() > 0) out.pair("timeout_ms", request.timeout.count());
    if (request.events) out.pair("framing", "sse");
    if (request.max_bytes > 0) out.pair("max_bytes", request.max_bytes);
    if (!request.inject.empty()) write_inject(out.key("inject"), request.inject);
    if (!request.body_blob.empty()) out.pair("body_blob", request.body_blob);
    if (request.to_blob) out.pair("to_blob", true);
    if (!request.parts.empty()) write_parts(out.key("parts"), request.parts);
    return out.end('}').take();
}

inline Failure failure_from(std::string_view json) {
    Json const detail = Json::parse(json);
    Failure out;
    out.code = detail["code"].text("peer");
    out.message = detail["message"].text("no reason given");
    out.retryable = detail["retryable"].boolean();
    out.retry_after_ms = detail["retry_after_ms"].integer();
    if (detail["sent"].is_boolean()) out.sent = detail["sent"].boolean();
    return out;
}

inline Blob blob_from(std::string_view json) {
    Json const detail = Json::parse(json);
    return {std::string(detail["blob"].text()),
            static_cast<std::uint64_t>(detail["bytes"].integer())};
}

inline Failure not_started(parley_status status, char const* what) {
    static constexpr char const* codes[] = {"internal", "invalid", "unsupported", "cancelled",
                                            "timeout", "denied", "cut_off", "limit", "peer"};
    auto const index = static_cast<std::size_t>(-(status + 1));
    Failure out;
    out.code = index < std::size(codes) ? codes[index] : "internal";
    out.message = std::string("the host did not start the ") + what;
    out.sent = false;
    return out;
}
}  // namespace detail

// What the host lends. A service that the manifest does not name answers as unsupported.
class Host {
public:
    explicit Host(detail::Runtime& runtime) : runtime_(runtime) {}
    Host(Host const&) = delete;

    // A line for the operator. Never put a message's text or a secret into it.
    void log(std::int32_t level, std::string_view text) {
        runtime_.host()->log(runtime_.host(), level, text.data(), text.size());
    }

    bool offers(char const* id) const { return table<void>(id) != nullptr; }

    Operation http(Call const& call, HttpRequest const& request, std::string_view body,
                   HttpCallbacks callbacks);
    Stream stream(Call const& call, std::string const& host, std::uint16_t port, bool tls,
                  StreamCallbacks callbacks);
    WebSocket ws(Call const& call, WebSocketRequest const& request, WebSocketCallbacks callbacks);
    // Runs `then` once, after `wait`. Cannot fail quietly: if there is no timer, as when too much is
    // open at once, `refused` runs before this returns; without it the call fails, for now.
    Operation timer(Call const& call, std::chrono::milliseconds wait, std::function<void()> then,
                    std::function<void(Failure const& why)> refused = {});

    // A small durable store of the instance: keys up to 256 bytes, values up to 64 KiB.
    using KvThen = std::function<void(KvAnswer const& answer)>;
    void kv_get(Call const& call, std::string_view key, KvThen then);
    void kv_put(Call const& call, std::string_view key, std::string_view value, KvThen then);
    void kv_remove(Call const& call, std::string_view key, KvThen then);

    // Bytes that are too many for a message. `then` is told once, of the blob or of the failure;
    // maybe before the function returns, when the host does not even begin.
    using BlobThen =
        std::function<void(std::optional<Blob> const& blob, std::optional<Failure> const& failure)>;
    BlobWriter blob_put(Call const& call, BlobThen then);
    Operation blob_get(Call const& call, std::string_view blob,
                       std::function<void(std::string_view bytes)> on_data, BlobThen then);

    // Hears the webhooks of a channel's run, until it ends or the operation is stopped.
    Operation webhooks(Call const& call, WebhookCallbacks callbacks);

    // The bytes of a secret field of tier "reveal", where the operator grants it; nothing and the
    // reason where not. They are overwritten when `then` returns: keep no copy that you can avoid.
    using RevealThen =
        std::function<void(std::optional<std::string_view> bytes, std::string_view why)>;
    void reveal(Call const& call, std::string_view field, RevealThen then);

private:
    template <class Table>
    Table const* table(char const* id) const {
        return static_cast<Table const*>(runtime_.host()->get_interface(runtime_.host(), id));
    }
    template <class Start>
    void kv(Call const& call, KvThen then, Start start);
    template <class Start>
    parley_id blob(Call const& call, std::function<void(std::string_view)> on_data, BlobThen then,
                   Start start);

    detail::Runtime& runtime_;
};

inline Operation Host::http(Call const& call, HttpRequest const& request, std::string_view body,
                            HttpCallbacks callbacks) {
    auto const* http = table<parley_host_http_v1>(PARLEY_HOST_HTTP);
    std::string const text = detail::json_from(request);
    parley_id id = 0;
    parley_status const status =
        http ? http->start(runtime_.host(), call.id(), text.data(), text.size(), body.data(),
                           body.size(), &id)
             : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        if (callbacks.on_failed) callbacks.on_failed(detail::not_started(status, "request"));
        return {};
    }
    auto on_event = [callbacks = std::move(callbacks)](std::uint32_t kind, std::string_view bytes) {
        if (kind == PARLEY_HTTP_HEAD && callbacks.on_head) {
            Json const head = Json::parse(bytes);
            callbacks.on_head({static_cast<int>(head["status"].integer()), head["headers"]});
        } else if (kind == PARLEY_HTTP_DATA && callbacks.on_data) {
            callbacks.on_data(bytes);
        } else if (kind == PARLEY_HTTP_EVENT && callbacks.on_event) {
            Json const event = Json::parse(bytes);
            callbacks.on_event({event["event"].text("message"), event["data"].text(),
                                event["id"].text()});
        } else if (kind == PARLEY_HTTP_DONE) {
            if (callbacks.on_blob && !bytes.empty()) callbacks.on_blob(detail::blob_from(bytes));
            if (callbacks.on_done) callbacks.on_done();
        } else if (kind == PARLEY_HTTP_FAILED && callbacks.on_failed) {
            callbacks.on_failed(detail::failure_from(bytes));
        }
    };
    auto stop = [http, host = runtime_.host(), id] { http->stop(host, id); };
    runtime_.listen(detail::Service::http, id, {call.id(), std::move(on_event), std::move(stop)});
    return {&runtime_, detail::Service::http, id};
}

inline Stream Host::stream(Call const& call, std::string const& host, std::uint16_t port, bool tls,
                           StreamCallbacks callbacks) {
    auto const* streams = table<parley_host_stream_v1>(PARLEY_HOST_STREAM);
    std::string const text = json_of("host", host, "port", port, "tls", tls);
    parley_id id = 0;
    parley_status const status =
        streams ? streams->open(runtime_.host(), call.id(), text.data(), text.size(), &id)
                : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        if (callbacks.on_closed) callbacks.on_closed(detail::not_started(status, "stream"));
        return {};
    }
    auto on_event = [callbacks = std::move(callbacks)](std::uint32_t kind, std::string_view bytes) {
        if (kind == PARLEY_STREAM_OPENED && callbacks.on_open) {
            Json const opened = Json::parse(bytes);
            callbacks.on_open(opened["peer"].text());
        } else if (kind == PARLEY_STREAM_DATA && callbacks.on_data) {
            callbacks.on_data(bytes);
        } else if (kind == PARLEY_STREAM_CLOSED && callbacks.on_closed) {
            bool const failed = Json::parse(bytes)["code"].exists();
            std::optional<Failure> why;
            if (failed) why = detail::failure_from(bytes);
            callbacks.on_closed(why);
        }
    };
    auto stop = [streams, lender = runtime_.host(), id] { streams->close(lender, id); };
    runtime_.listen(detail::Service::stream, id, {call.id(), std::move(on_event), std::move(stop)});
    Stream out(&runtime_, detail::Service::stream, id);
    out.service_table_ = streams;
    return out;
}

inline Emit Stream::write(std::string_view bytes, std::vector<Inject> const& inject) {
    if (!is_open()) return Emit::refused;
    JsonWriter out;
    if (!inject.empty()) detail::write_inject(out, inject);
    std::string const& places = out.text();
    return detail::emit_of(service_table_->write(runtime_->host(), id_, bytes.data(), bytes.size(),
                                                 places.empty() ? nullptr : places.data(),
                                                 places.size()));
}

template <class Start>
parley_id Host::blob(Call const& call, std::function<void(std::string_view)> on_data, BlobThen then,
                     Start start) {
    auto const* blobs = table<parley_host_blob_v1>(PARLEY_HOST_BLOB);
    parley_id id = 0;
    parley_status const status = blobs ? start(*blobs, id) : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        then({}, detail::not_started(status, "blob operation"));
        return 0;
    }
    auto on_event = [on_data = std::move(on_data), then = std::move(then)](std::uint32_t kind,
                                                                           std::string_view bytes) {
        if (kind == PARLEY_BLOB_DATA && on_data) on_data(bytes);
        if (kind == PARLEY_BLOB_DONE) then(detail::blob_from(bytes), {});
        if (kind == PARLEY_BLOB_FAILED) then({}, detail::failure_from(bytes));
    };
    auto stop = [blobs, lender = runtime_.host(), id] { blobs->stop(lender, id); };
    runtime_.listen(detail::Service::blob, id, {call.id(), std::move(on_event), std::move(stop)});
    return id;
}

inline BlobWriter Host::blob_put(Call const& call, BlobThen then) {
    auto const id =
        blob(call, {}, std::move(then), [&](parley_host_blob_v1 const& blobs, parley_id& out) {
            return blobs.put(runtime_.host(), call.id(), &out);
        });
    if (id == 0) return {};
    BlobWriter out(&runtime_, detail::Service::blob, id);
    out.service_table_ = table<parley_host_blob_v1>(PARLEY_HOST_BLOB);
    return out;
}

inline Emit BlobWriter::write(std::string_view bytes) {
    if (!is_open()) return Emit::refused;
    return detail::emit_of(
        service_table_->write(runtime_->host(), id_, bytes.data(), bytes.size()));
}

inline Operation Host::blob_get(Call const& call, std::string_view name,
                                std::function<void(std::string_view bytes)> on_data,
                                BlobThen then) {
    std::string const text = json_of("blob", name);
    auto const id =
        blob(call, std::move(on_data), std::move(then),
             [&](parley_host_blob_v1 const& blobs, parley_id& out) {
                 return blobs.get(runtime_.host(), call.id(), text.data(), text.size(), &out);
             });
    if (id == 0) return {};
    return {&runtime_, detail::Service::blob, id};
}

inline WebSocket Host::ws(Call const& call, WebSocketRequest const& request,
                          WebSocketCallbacks callbacks) {
    auto const* sockets = table<parley_host_ws_v1>(PARLEY_HOST_WS);
    std::string const text = detail::json_from(request);
    parley_id id = 0;
    parley_status const status =
        sockets ? sockets->open(runtime_.host(), call.id(), text.data(), text.size(), &id)
                : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        if (callbacks.on_failed) callbacks.on_failed(detail::not_started(status, "WebSocket"));
        return {};
    }
    auto on_event = [callbacks = std::move(callbacks)](std::uint32_t kind, std::string_view bytes) {
        if (kind == PARLEY_WS_OPENED && callbacks.on_open) {
            Json const opened = Json::parse(bytes);
            callbacks.on_open(opened["subprotocol"].text());
        } else if (kind == PARLEY_WS_TEXT && callbacks.on_text) {
            callbacks.on_text(bytes);
        } else if (kind == PARLEY_WS_BINARY && callbacks.on_binary) {
            callbacks.on_binary(bytes);
        } else if (kind == PARLEY_WS_CLOSED && callbacks.on_closed) {
            Json const said = Json::parse(bytes);
            callbacks.on_closed(static_cast<int>(said["code"].integer()), said["reason"].text());
        } else if (kind == PARLEY_WS_FAILED && callbacks.on_failed) {
            callbacks.on_failed(detail::failure_from(bytes));
        }
    };
    auto stop = [sockets, host = runtime_.host(), id] { sockets->close(host, id, 1000, "", 0); };
    runtime_.listen(detail::Service::ws, id, {call.id(), std::move(on_event), std::move(stop)});
    WebSocket out(&runtime_, detail::Service::ws, id);
    out.service_table_ = sockets;
    return out;
}

inline Emit WebSocket::write(std::uint32_t kind, std::string_view bytes,
                             std::vector<Inject> const& inject) {
    if (!is_open()) return Emit::refused;
    JsonWriter out;
    if (!inject.empty()) detail::write_inject(out, inject);
    std::string const& places = out.text();
    auto const answer =
        service_table_->write(runtime_->host(), id_, kind, bytes.data(), bytes.size(),
                              places.empty() ? nullptr : places.data(), places.size());
    return detail::emit_of(answer);
}
inline Emit WebSocket::write_text(std::string_view text, std::vector<Inject> const& inject) {
    return write(PARLEY_WS_TEXT, text, inject);
}
inline Emit WebSocket::write_binary(std::string_view bytes, std::vector<Inject> const& inject) {
    return write(PARLEY_WS_BINARY, bytes, inject);
}
inline void WebSocket::close(std::uint16_t code, std::string_view reason) {
    if (!is_open()) return;
    service_table_->close(runtime_->host(), id_, code, reason.data(), reason.size());
    stop();
}

inline Operation Host::timer(Call const& call, std::chrono::milliseconds wait,
                             std::function<void()> then,
                             std::function<void(Failure const& why)> refused) {
    auto const* timers = table<parley_host_timer_v1>(PARLEY_HOST_TIMER);
    auto const after = std::clamp<std::int64_t>(wait.count(), 0, UINT32_MAX);
    parley_id id = 0;
    parley_status const status =
        timers ? timers->start(runtime_.host(), call.id(), static_cast<std::uint32_t>(after), &id)
               : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        auto why = detail::not_started(status, "timer");
        why.retryable = status == PARLEY_E_LIMIT;  // too many: a timer is never too large
        refused ? refused(why) : runtime_.fail(call.id(), why);
        return {};
    }
    auto on_event = [then = std::move(then)](std::uint32_t, std::string_view) { then(); };
    auto stop = [timers, host = runtime_.host(), id] { timers->stop(host, id); };
    runtime_.listen(detail::Service::timer, id, {call.id(), std::move(on_event), std::move(stop)});
    return {&runtime_, detail::Service::timer, id};
}

template <class Start>
void Host::kv(Call const& call, KvThen then, Start start) {
    auto const* store = table<parley_host_kv_v1>(PARLEY_HOST_KV);
    parley_id id = 0;
    parley_status const status = store ? start(*store, id) : PARLEY_E_UNSUPPORTED;
    if (status < 0) return then({std::nullopt, detail::not_started(status, "store operation")});
    auto on_event = [then = std::move(then)](std::uint32_t kind, std::string_view bytes) {
        KvAnswer answer;
        if (kind == PARLEY_KV_DONE) answer.value = std::string(bytes);
        if (kind == PARLEY_KV_FAILED) answer.failure = detail::failure_from(bytes);
        then(answer);
    };
    runtime_.listen(detail::Service::kv, id, {call.id(), std::move(on_event), {}});
}

inline Operation Host::webhooks(Call const& call, WebhookCallbacks callbacks) {
    auto const* service = table<parley_host_inbound_v1>(PARLEY_HOST_INBOUND);
    parley_id id = 0;
    parley_status const status =
        service ? service->listen(runtime_.host(), call.id(), &id) : PARLEY_E_UNSUPPORTED;
    if (status < 0) {
        if (callbacks.on_closed) callbacks.on_closed(detail::not_started(status, "webhooks"));
        return {};
    }
    auto on_event = [callbacks = std::move(callbacks), service, runtime = &runtime_,
                     id](std::uint32_t kind, std::string_view bytes) {
        Json const told = Json::parse(bytes);
        auto const number = static_cast<std::uint64_t>(told["request"].integer());
        if (kind == PARLEY_INBOUND_REQUEST) {
            WebhookRequest request;
            request.runtime_ = runtime;
            request.table_ = service;
            request.operation_ = id;
            request.number_ = number;
            request.told_ = told;
            if (callbacks.on_request) callbacks.on_request(std::move(request));
        } else if (kind == PARLEY_INBOUND_GONE && callbacks.on_gone) {
            callbacks.on_gone(number);
        } else if (kind == PARLEY_INBOUND_CLOSED && callbacks.on_closed) {
            callbacks.on_closed(detail::failure_from(bytes));
        }
    };
    auto stop = [service, host = runtime_.host(), id] { service->stop(host, id); };
    runtime_.listen(detail::Service::inbound, id, {call.id(), std::move(on_event), std::move(stop)});
    return {&runtime_, detail::Service::inbound, id};
}

inline void Host::reveal(Call const& call, std::string_view field, RevealThen then) {
    auto const* service = table<parley_host_reveal_v1>(PARLEY_HOST_REVEAL);
    parley_id id = 0;
    parley_status const status =
        service ? service->get(runtime_.host(), call.id(), field.data(), field.size(), &id)
                : PARLEY_E_UNSUPPORTED;
    if (status < 0) return then({}, detail::not_started(status, "reading of a secret").message);
    auto on_event = [then = std::move(then)](std::uint32_t kind, std::string_view bytes) {
        if (kind == PARLEY_REVEAL_DONE) return then(bytes, {});
        then({}, detail::failure_from(bytes).message);
    };
    runtime_.listen(detail::Service::reveal, id, {call.id(), std::move(on_event), {}});
}

inline void Host::kv_get(Call const& call, std::string_view key, KvThen then) {
    kv(call, std::move(then), [&](parley_host_kv_v1 const& store, parley_id& id) {
        return store.get(runtime_.host(), call.id(), key.data(), key.size(), &id);
    });
}
inline void Host::kv_put(Call const& call, std::string_view key, std::string_view value,
                         KvThen then) {
    kv(call, std::move(then), [&](parley_host_kv_v1 const& store, parley_id& id) {
        return store.put(runtime_.host(), call.id(), key.data(), key.size(), value.data(),
                         value.size(), &id);
    });
}
inline void Host::kv_remove(Call const& call, std::string_view key, KvThen then) {
    kv(call, std::move(then), [&](parley_host_kv_v1 const& store, parley_id& id) {
        return store.remove(runtime_.host(), call.id(), key.data(), key.size(), &id);
    });
}

}  // namespace sdk_1
}  // namespace parley
