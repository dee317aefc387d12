#pragma once

// A host in the test's own process: loads a plugin's .so, lends it scripted services and keeps
// everything that it does. The test's thread is the strand; nothing reaches the plugin but from a
// function that the test calls. It reads what the plugin says as strictly as the real host.
#define PARLEY_HOST_SIDE
#include "parley/json.hpp"
#include "parley/plugin.h"

#include <dlfcn.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contract {

using parley::Json;
using parley::json_of;

enum class Verb {
    channel_run, channel_send, channel_edit, channel_typing, channel_draft,
    provider_generate = 16, provider_list_models, provider_count_tokens, provider_embed,
    skill_invoke = 32, skill_reconcile, skill_preview, skill_list_dynamic,
};

// What is known of one call.
struct CallRecord {
    std::vector<std::string> emitted;
    std::optional<parley_status> status;  // set when it has ended
    std::string result;
    parley_status emit_answer = PARLEY_OK;  // what the next emits are told

    bool ended() const { return status.has_value(); }
    bool succeeded() const { return status == PARLEY_OK; }
    Json answer() const { return Json::parse(result); }
    Json item(std::size_t index) const { return Json::parse(emitted.at(index)); }

    // The emitted items of one type, in order.
    std::vector<Json> items(std::string_view type) const {
        std::vector<Json> out;
        for (auto const& text : emitted) {
            Json const item = Json::parse(text);
            if (item["type"].text() == type) out.push_back(item);
        }
        return out;
    }
    // The text of all items of one type, put together.
    std::string text(std::string_view type = "text") const {
        std::string out;
        for (Json const& item : items(type)) out += item["text"].text();
        return out;
    }
};

struct HttpExchange {
    parley_id id = 0, call = 0;
    Json request;
    std::string body;
    bool open = true;  // false: stopped by the plugin, or ended
};

struct StreamLink {
    parley_id id = 0, call = 0;
    Json request;
    std::string written;              // all that the plugin wrote, as it wrote it
    std::vector<std::string> writes;  // the same, one by one
    std::vector<Json> injects;        // one for each write; missing where there was none
    parley_status write_answer = PARLEY_OK;
    bool open = true;
};

struct WsLink {
    parley_id id = 0, call = 0;
    Json request;
    std::vector<std::string> texts, binaries;  // what the plugin wrote, one by one
    std::vector<Json> injects;                 // one for each text; missing where there was none
    std::uint32_t code = 0;                    // of the plugin's goodbye
    std::string reason;
    parley_status write_answer = PARLEY_OK;
    bool open = true;
};

struct TimerRecord {
    parley_id id = 0, call = 0;
    std::uint64_t due_ms = 0;
    bool open = true;
};

// A listener for webhooks, and what the plugin answered by their numbers.
struct ListenerRecord {
    parley_id id = 0, call = 0;
    std::map<std::uint64_t, std::optional<Json>> answers;  // nothing: it waits
    bool open = true;
};

class TestHost {
public:
    // Loads the file and makes the plugin's one instance. `without` names a service that this host
    // does not have. Throws std::runtime_error with the reason.
    explicit TestHost(std::string const& file, std::string_view config = "{}",
                      std::string_view without = "")
        : without_(without) {
        void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library) throw std::runtime_error(dlerror());
        entry_ = static_cast<parley_entry const*>(dlsym(library, "parley_plugin_v1"));
        if (!entry_) throw std::runtime_error(file + " has no parley_plugin_v1");
        std::string const copy(config);
        if (entry_->create(&lent_.host, copy.data(), copy.size(), &self_) != PARLEY_OK) {
            throw std::runtime_error(logs.empty() ? "create failed" : logs.back());
        }
    }
    TestHost(TestHost const&) = delete;
    ~TestHost() {
        for (auto const& [id, record] : calls_) {
            if (!record.ended()) entry_->cancel(self_, id);
        }
        entry_->destroy(self_);
    }

    parley_entry const& entry() const { return *entry_; }
    void const* interface(char const* id) { return entry_->get_interface(self_, id); }

    // ---- Calls.

    bool offers(Verb verb) { return function(verb) != nullptr; }

    // The bytes of the request are gone when this returns, as they are in a real worker. A status
    // below zero is kept as the end of the call.
    parley_id start(Verb verb, std::string_view request, std::uint32_t timeout_ms = 0) {
        parley_start_fn const run = function(verb);
        if (!run) throw std::runtime_error("the plugin does not offer this verb");
        parley_id const id = next_call_ += 2;
        {
            std::lock_guard lock(mutex_);
            calls_[id];
        }
        std::string copy(request);
        auto const status = run(self_, id, timeout_ms, copy.data(), copy.size());
        std::memset(copy.data(), '#', copy.size());
        std::lock_guard lock(mutex_);
        if (status < 0) calls_[id].status = status;
        else if (status != PARLEY_PENDING)
            faults.push_back("a verb answered " + std::to_string(status));
        return id;
    }

    // Starts it and waits for its end, of which a plugin's own thread may be the cause.
    CallRecord run(Verb verb, std::string_view request, std::uint32_t timeout_ms = 0) {
        parley_id const id = start(verb, request, timeout_ms);
        settle();
        wait_for_end(id);
        return call(id);
    }

    void cancel(parley_id call) { entry_->cancel(self_, call); }
    void resume(parley_id call) {
        set_emit_answer(call, PARLEY_OK);
        auto const* sink = static_cast<parley_flow_sink_v1 const*>(interface(PARLEY_SINK_FLOW));
        if (sink) sink->on_resume(self_, call);
    }
    void acknowledge(parley_id call, std::string_view cursor) {
        auto const* sink = static_cast<parley_ack_sink_v1 const*>(interface(PARLEY_SINK_ACK));
        if (sink) sink->on_ack(self_, call, cursor.data(), cursor.size());
    }
    void set_emit_answer(parley_id call, parley_status answer) {
        std::lock_guard lock(mutex_);
        calls_.at(call).emit_answer = answer;
    }
    CallRecord call(parley_id id) const {
        std::lock_guard lock(mutex_);
        return calls_.at(id);
    }
    bool wait_for_end(parley_id id, std::chrono::seconds limit = std::chrono::seconds(30)) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [&] { return calls_.at(id).ended(); });
    }

    // ---- What the plugin asked of the services, in order. Valid as long as the host.

    std::deque<HttpExchange> http;
    std::deque<StreamLink> streams;
    std::deque<WsLink> sockets;
    std::deque<TimerRecord> timers;
    bool takes_timers = true;  // else each is one too many
    std::deque<ListenerRecord> listeners;
    std::map<std::string, std::string, std::less<>> store;  // the kv service
    std::map<std::string, std::string, std::less<>> blobs;  // by id
    bool pauses_blobs = false;  // each write is answered so, and resumed when events are delivered
    std::vector<std::string> logs;
    std::vector<std::string> faults;  // what a real host would not have accepted

    // ---- The world answers. Each of these is one event on the strand.

    void http_head(HttpExchange& on, int status, std::string_view headers = "[]") {
        tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_HEAD,
             json_of("status", status, "headers", parley::JsonRaw{headers}));
    }
    void http_data(HttpExchange& on, std::string_view bytes) {
        tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_DATA, bytes);
    }
    void http_event(HttpExchange& on, std::string_view data, std::string_view event = "message",
                    std::string_view id = "") {
        tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_EVENT,
             json_of("event", event, "data", data, "id", id));
    }
    void http_done(HttpExchange& on) { tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_DONE, "", true); }
    // With to_blob: the body became this blob, whose id is answered.
    std::string http_blob(HttpExchange& on, std::string const& content) {
        auto const id = keep_blob(content);
        tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_DONE, json_of("blob", id, "bytes", content.size()),
             true);
        return id;
    }
    void http_failed(HttpExchange& on, std::string_view json) {
        tell(PARLEY_SINK_HTTP, on, PARLEY_HTTP_FAILED, json, true);
    }

    void stream_opened(StreamLink& on, std::string_view peer = "192.0.2.1:6697") {
        tell(PARLEY_SINK_STREAM, on, PARLEY_STREAM_OPENED, json_of("peer", peer, "tls", true));
    }
    void stream_data(StreamLink& on, std::string_view bytes) {
        tell(PARLEY_SINK_STREAM, on, PARLEY_STREAM_DATA, bytes);
    }
    void stream_closed(StreamLink& on, std::string_view json = "{}") {
        tell(PARLEY_SINK_STREAM, on, PARLEY_STREAM_CLOSED, json, true);
    }

    void ws_opened(WsLink& on, std::string_view subprotocol = "") {
        tell(PARLEY_SINK_WS, on, PARLEY_WS_OPENED,
             json_of("peer", "192.0.2.1:443", "subprotocol", subprotocol));
    }
    void ws_text(WsLink& on, std::string_view text) {
        tell(PARLEY_SINK_WS, on, PARLEY_WS_TEXT, text);
    }
    void ws_binary(WsLink& on, std::string_view bytes) {
        tell(PARLEY_SINK_WS, on, PARLEY_WS_BINARY, bytes);
    }
    void ws_closed(WsLink& on, int code = 1000, std::string_view reason = "") {
        tell(PARLEY_SINK_WS, on, PARLEY_WS_CLOSED, json_of("code", code, "reason", reason), true);
    }
    void ws_failed(WsLink& on, std::string_view json) {
        tell(PARLEY_SINK_WS, on, PARLEY_WS_FAILED, json, true);
    }

    // One more verified request; its number.
    std::uint64_t webhook(ListenerRecord& on, std::string_view body,
                          std::string_view headers = "[]") {
        auto const number = ++last_webhook_;
        on.answers[number];
        tell(PARLEY_SINK_INBOUND, on, PARLEY_INBOUND_REQUEST,
             json_of("request", number, "headers", parley::JsonRaw{headers}, "body", body));
        return number;
    }
    void webhook_gone(ListenerRecord& on, std::uint64_t number) {
        on.answers.erase(number);
        tell(PARLEY_SINK_INBOUND, on, PARLEY_INBOUND_GONE, json_of("request", number));
    }
    void webhooks_closed(ListenerRecord& on, std::string_view json) {
        tell(PARLEY_SINK_INBOUND, on, PARLEY_INBOUND_CLOSED, json, true);
    }

    // Delivers what is due without any time passing: answers of the kv service.
    void settle() {
        while (!due_.empty()) {
            auto const event = std::move(due_.front());
            due_.pop_front();
            event();
        }
    }
    // Moves the clock of the timer service on, firing what falls due, earliest first.
    void advance(std::chrono::milliseconds by) {
        std::uint64_t const until = now_ms_ + static_cast<std::uint64_t>(by.count());
        settle();
        while (TimerRecord* const next = next_timer(until)) {
            now_ms_ = std::max(now_ms_, next->due_ms);
            tell(PARLEY_SINK_TIMER, *next, PARLEY_TIMER_FIRED, "", true);
            settle();
        }
        now_ms_ = until;
    }

private:
    // The host's table comes first, so that a pointer to it finds the host again.
    struct Lent {
        parley_host host;
        TestHost* owner;
    };

    static TestHost& owner(parley_host const* host) {
        return *reinterpret_cast<Lent const*>(host)->owner;
    }

    parley_start_fn function(Verb verb) {
        static constexpr char const* roles[] = {PARLEY_ROLE_CHANNEL, PARLEY_ROLE_PROVIDER,
                                                PARLEY_ROLE_SKILL};
        auto const index = static_cast<std::size_t>(verb);
        // Each role table is two numbers and then its verbs.
        auto const* table = static_cast<char const*>(interface(roles[index / 16]));
        if (!table) return nullptr;
        parley_start_fn out = nullptr;
        std::memcpy(&out, table + 2 * sizeof(std::uint32_t) + index % 16 * sizeof out, sizeof out);
        return out;
    }

    template <class Operation>
    void tell(char const* sink_id, Operation& on, std::uint32_t kind, std::string_view bytes,
              bool last = false) {
        if (!on.open) return;
        if (last) on.open = false;
        auto const* sink = static_cast<parley_event_sink_v1 const*>(interface(sink_id));
        if (!sink) throw std::runtime_error(std::string("the plugin lacks ") + sink_id);
        std::string copy(bytes);
        sink->on_event(self_, on.call, on.id, kind, copy.data(), copy.size());
        std::memset(copy.data(), '#', copy.size());
        settle();
    }

    TimerRecord* next_timer(std::uint64_t until) {
        TimerRecord* out = nullptr;
        for (auto& timer : timers) {
            if (timer.open && timer.due_ms <= until && (!out || timer.due_ms < out->due_ms)) {
                out = &timer;
            }
        }
        return out;
    }

    bool is_open(parley_id call) {
        std::lock_guard lock(mutex_);
        auto const found = calls_.find(call);
        return found != calls_.end() && !found->second.ended();
    }

    // ---- The host's table.

    static parley_status complete(parley_host const* host, parley_id call, parley_status status,
                                  char const* bytes, std::size_t size) {
        auto& self = owner(host);
        std::lock_guard lock(self.mutex_);
        auto const found = self.calls_.find(call);
        if (found == self.calls_.end() || found->second.ended()) {
            self.faults.push_back("complete of a call that is not open");
            return PARLEY_E_STALE;
        }
        if (size > (32u << 20)) return PARLEY_E_LIMIT;
        if (!Json::parse({bytes, size}).is_object()) {
            self.faults.push_back("a result that is no JSON object: " + std::string(bytes, size));
        }
        if (status > 0) self.faults.push_back("a result with status " + std::to_string(status));
        found->second.status = status;
        found->second.result.assign(bytes, size);
        self.changed_.notify_all();
        return PARLEY_OK;
    }

    static parley_status emit(parley_host const* host, parley_id call, char const* bytes,
                              std::size_t size) {
        auto& self = owner(host);
        std::lock_guard lock(self.mutex_);
        auto const found = self.calls_.find(call);
        if (found == self.calls_.end() || found->second.ended()) return PARLEY_E_STALE;
        if (found->second.emit_answer < 0) return found->second.emit_answer;
        if (!Json::parse({bytes, size}).is_object()) {
            self.faults.push_back("an item that is no JSON object");
            return PARLEY_E_INVALID;
        }
        found->second.emitted.emplace_back(bytes, size);
        return found->second.emit_answer;
    }

    static void log(parley_host const* host, std::int32_t, char const* text, std::size_t size) {
        auto& self = owner(host);
        std::lock_guard lock(self.mutex_);
        self.logs.emplace_back(text, size);
    }

    static void const* get_interface(parley_host const* host, char const* id) {
        static constexpr parley_host_http_v1 http_table = {sizeof http_table, 0, &http_start,
                                                           &http_stop};
        static constexpr parley_host_stream_v1 stream_table = {
            sizeof stream_table, 0, &stream_open, &stream_write, &stream_close};
        static constexpr parley_host_ws_v1 ws_table = {sizeof ws_table, 0, &ws_open, &ws_write,
                                                       &ws_close};
        static constexpr parley_host_timer_v1 timer_table = {sizeof timer_table, 0, &timer_start,
                                                             &timer_stop};
        static constexpr parley_host_kv_v1 kv_table = {sizeof kv_table, 0, &kv_get, &kv_put,
                                                       &kv_remove};
        static constexpr parley_host_blob_v1 blob_table = {
            sizeof blob_table, 0, &blob_put, &blob_write, &blob_finish, &blob_get, &blob_stop};
        static constexpr parley_host_inbound_v1 inbound_table = {
            sizeof inbound_table, 0, &inbound_listen, &inbound_answer, &inbound_stop};
        std::string_view const wanted = id;
        if (wanted == owner(host).without_) return nullptr;
        if (wanted == PARLEY_HOST_HTTP) return &http_table;
        if (wanted == PARLEY_HOST_STREAM) return &stream_table;
        if (wanted == PARLEY_HOST_WS) return &ws_table;
        if (wanted == PARLEY_HOST_TIMER) return &timer_table;
        if (wanted == PARLEY_HOST_KV) return &kv_table;
        if (wanted == PARLEY_HOST_BLOB) return &blob_table;
        if (wanted == PARLEY_HOST_INBOUND) return &inbound_table;
        return nullptr;
    }

    template <class List>
    static parley_status stop_in(List& list, parley_id operation) {
        for (auto& one : list) {
            if (one.id != operation || !one.open) continue;
            one.open = false;
            return PARLEY_OK;
        }
        return PARLEY_E_STALE;
    }

    static parley_status http_start(parley_host const* host, parley_id call, char const* request,
                                    std::size_t request_size, char const* body,
                                    std::size_t body_size, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        Json const parsed = Json::parse({request, request_size});
        if (!parsed["url"].is_string()) return PARLEY_E_INVALID;
        *operation = self.next_operation_ += 2;
        self.http.push_back({*operation, call, parsed, std::string(body, body_size), true});
        return PARLEY_OK;
    }
    static parley_status http_stop(parley_host const* host, parley_id operation) {
        return stop_in(owner(host).http, operation);
    }

    static parley_status stream_open(parley_host const* host, parley_id call, char const* request,
                                     std::size_t size, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        Json const parsed = Json::parse({request, size});
        if (!parsed["host"].is_string()) return PARLEY_E_INVALID;
        *operation = self.next_operation_ += 2;
        StreamLink link;
        link.id = *operation;
        link.call = call;
        link.request = parsed;
        self.streams.push_back(std::move(link));
        return PARLEY_OK;
    }
    static parley_status stream_write(parley_host const* host, parley_id operation,
                                      char const* bytes, std::size_t size, char const* inject,
                                      std::size_t inject_size) {
        for (auto& link : owner(host).streams) {
            if (link.id != operation || !link.open) continue;
            link.written.append(bytes, size);
            link.writes.emplace_back(bytes, size);
            link.injects.push_back(inject ? Json::parse({inject, inject_size}) : Json());
            return link.write_answer;
        }
        return PARLEY_E_STALE;
    }
    static parley_status stream_close(parley_host const* host, parley_id operation) {
        return stop_in(owner(host).streams, operation);
    }

    static parley_status ws_open(parley_host const* host, parley_id call, char const* request,
                                 std::size_t size, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        Json const parsed = Json::parse({request, size});
        if (!parsed["url"].is_string()) return PARLEY_E_INVALID;
        *operation = self.next_operation_ += 2;
        WsLink link;
        link.id = *operation;
        link.call = call;
        link.request = parsed;
        self.sockets.push_back(std::move(link));
        return PARLEY_OK;
    }
    static parley_status ws_write(parley_host const* host, parley_id operation, std::uint32_t kind,
                                  char const* bytes, std::size_t size, char const* inject,
                                  std::size_t inject_size) {
        for (auto& link : owner(host).sockets) {
            if (link.id != operation || !link.open) continue;
            (kind == PARLEY_WS_TEXT ? link.texts : link.binaries).emplace_back(bytes, size);
            if (kind == PARLEY_WS_TEXT)
                link.injects.push_back(inject ? Json::parse({inject, inject_size}) : Json());
            return link.write_answer;
        }
        return PARLEY_E_STALE;
    }
    static parley_status ws_close(parley_host const* host, parley_id operation, std::uint32_t code,
                                  char const* reason, std::size_t size) {
        for (auto& link : owner(host).sockets) {
            if (link.id != operation || !link.open) continue;
            link.open = false;
            link.code = code;
            link.reason.assign(reason, size);
            return PARLEY_OK;
        }
        return PARLEY_E_STALE;
    }

    static parley_status timer_start(parley_host const* host, parley_id call,
                                     std::uint32_t after_ms, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        if (!self.takes_timers) return PARLEY_E_LIMIT;
        *operation = self.next_operation_ += 2;
        self.timers.push_back({*operation, call, self.now_ms_ + after_ms, true});
        return PARLEY_OK;
    }
    static parley_status timer_stop(parley_host const* host, parley_id operation) {
        return stop_in(owner(host).timers, operation);
    }

    static parley_status inbound_listen(parley_host const* host, parley_id call,
                                        parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        *operation = self.next_operation_ += 2;
        self.listeners.push_back({*operation, call, {}, true});
        return PARLEY_OK;
    }
    static parley_status inbound_answer(parley_host const* host, parley_id operation,
                                        std::uint64_t request, char const* answer,
                                        std::size_t size) {
        auto& self = owner(host);
        if (size > 16384) return PARLEY_E_LIMIT;
        for (auto& one : self.listeners) {
            if (one.id != operation || !one.open || !self.is_open(one.call)) continue;
            auto const found = one.answers.find(request);
            if (found == one.answers.end() || found->second) return PARLEY_E_STALE;
            found->second = Json::parse({answer, size});
            if (!(*found->second)["status"].is_number())
                self.faults.push_back("an answer without a status: " + std::string(answer, size));
            return PARLEY_OK;
        }
        return PARLEY_E_STALE;
    }
    static parley_status inbound_stop(parley_host const* host, parley_id operation) {
        return stop_in(owner(host).listeners, operation);
    }

    parley_status kv(parley_id call, parley_id* operation, std::uint32_t kind, std::string value) {
        if (!is_open(call)) return PARLEY_E_STALE;
        *operation = next_operation_ += 2;
        due_.push_back([this, call, id = *operation, kind, value = std::move(value)] {
            auto const* sink = static_cast<parley_event_sink_v1 const*>(interface(PARLEY_SINK_KV));
            if (sink) sink->on_event(self_, call, id, kind, value.data(), value.size());
        });
        return PARLEY_OK;
    }
    static parley_status kv_get(parley_host const* host, parley_id call, char const* key,
                                std::size_t key_size, parley_id* operation) {
        auto& self = owner(host);
        auto const found = self.store.find(std::string_view(key, key_size));
        bool const there = found != self.store.end();
        return self.kv(call, operation, there ? PARLEY_KV_DONE : PARLEY_KV_MISSING,
                       there ? found->second : "");
    }
    static parley_status kv_put(parley_host const* host, parley_id call, char const* key,
                                std::size_t key_size, char const* value, std::size_t size,
                                parley_id* operation) {
        auto& self = owner(host);
        if (key_size > 256 || size > 65536) return PARLEY_E_LIMIT;
        self.store.insert_or_assign(std::string(key, key_size), std::string(value, size));
        return self.kv(call, operation, PARLEY_KV_DONE, "");
    }
    static parley_status kv_remove(parley_host const* host, parley_id call, char const* key,
                                   std::size_t key_size, parley_id* operation) {
        auto& self = owner(host);
        self.store.erase(std::string(key, key_size));
        return self.kv(call, operation, PARLEY_KV_DONE, "");
    }

    // Named by a number: a plugin must not know how a blob gets its name.
    std::string keep_blob(std::string const& content) {
        auto const number = std::to_string(blobs.size() + 1);
        auto const id = "b-" + std::string(64 - number.size(), '0') + number;
        blobs[id] = content;
        return id;
    }
    void blob_event(parley_id call, parley_id operation, std::uint32_t kind, std::string bytes) {
        due_.push_back([this, call, operation, kind, bytes = std::move(bytes)] {
            auto const* sink =
                static_cast<parley_event_sink_v1 const*>(interface(PARLEY_SINK_BLOB));
            if (sink) sink->on_event(self_, call, operation, kind, bytes.data(), bytes.size());
        });
    }
    static parley_status blob_put(parley_host const* host, parley_id call, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        *operation = self.next_operation_ += 2;
        self.drafts_[*operation] = {call, ""};
        return PARLEY_OK;
    }
    static parley_status blob_write(parley_host const* host, parley_id operation, char const* bytes,
                                    std::size_t size) {
        auto& self = owner(host);
        auto const draft = self.drafts_.find(operation);
        if (draft == self.drafts_.end()) return PARLEY_E_STALE;
        auto& [call, content] = draft->second;
        content.append(bytes, size);
        if (!self.pauses_blobs) return PARLEY_OK;
        self.due_.push_back([&self, call = call] { self.resume(call); });
        return PARLEY_PAUSE;
    }
    static parley_status blob_finish(parley_host const* host, parley_id operation) {
        auto& self = owner(host);
        auto const draft = self.drafts_.extract(operation);
        if (!draft) return PARLEY_E_STALE;
        auto const& [call, content] = draft.mapped();
        self.blob_event(call, operation, PARLEY_BLOB_DONE,
                        json_of("blob", self.keep_blob(content), "bytes", content.size()));
        return PARLEY_OK;
    }
    static parley_status blob_get(parley_host const* host, parley_id call, char const* request,
                                  std::size_t size, parley_id* operation) {
        auto& self = owner(host);
        if (!self.is_open(call)) return PARLEY_E_STALE;
        *operation = self.next_operation_ += 2;
        auto const found = self.blobs.find(Json::parse({request, size})["blob"].text());
        if (found == self.blobs.end()) {
            self.blob_event(call, *operation, PARLEY_BLOB_FAILED,
                            R"({"code":"not_found","message":"there is no such blob"})");
            return PARLEY_OK;
        }
        self.blob_event(call, *operation, PARLEY_BLOB_DATA, found->second);
        self.blob_event(call, *operation, PARLEY_BLOB_DONE,
                        json_of("blob", found->first, "bytes", found->second.size()));
        return PARLEY_OK;
    }
    static parley_status blob_stop(parley_host const* host, parley_id operation) {
        return owner(host).drafts_.erase(operation) ? PARLEY_OK : PARLEY_E_STALE;
    }

    Lent lent_{{sizeof(parley_host), PARLEY_ABI_MAJOR, PARLEY_ABI_MINOR, &get_interface, &complete,
                &emit, &log},
               this};
    parley_entry const* entry_ = nullptr;
    void* self_ = nullptr;
    std::string without_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<parley_id, CallRecord> calls_;
    std::deque<std::function<void()>> due_;
    std::map<parley_id, std::pair<parley_id, std::string>> drafts_;  // of blobs, with their calls
    parley_id next_call_ = 0, next_operation_ = 1;
    std::uint64_t now_ms_ = 0, last_webhook_ = 0;
};

}  // namespace contract
