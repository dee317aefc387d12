#include "plugin.hpp"

#include <dlfcn.h>
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace parley::worker {

namespace {

constexpr char const* role_ids[] = {"", PARLEY_ROLE_CHANNEL, PARLEY_ROLE_PROVIDER,
                                    PARLEY_ROLE_SKILL, PARLEY_ROLE_HOOK};
constexpr char const* sink_ids[] = {"",
                                    PARLEY_SINK_HTTP,
                                    PARLEY_SINK_STREAM,
                                    PARLEY_SINK_TIMER,
                                    PARLEY_SINK_KV,
                                    PARLEY_SINK_REVEAL,
                                    PARLEY_SINK_BLOB,
                                    PARLEY_SINK_WS,
                                    PARLEY_SINK_INBOUND};
constexpr std::size_t log_line_bytes = 8192;
constexpr std::size_t operations_most =
    64;  // as the host counts; it ends a worker that goes beyond
constexpr std::size_t key_bytes = 256, value_bytes = 65536, answer_bytes = 16384;

bool contains(std::vector<std::string> const& list, char const* id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

// After these kinds the operation is gone.
bool is_last(std::uint32_t service, std::uint32_t kind) {
    switch (service) {
        case PARLEY_S_HTTP:
            return kind == PARLEY_HTTP_DONE || kind == PARLEY_HTTP_FAILED;
        case PARLEY_S_STREAM:
            return kind == PARLEY_STREAM_CLOSED;
        case PARLEY_S_BLOB:
            return kind == PARLEY_BLOB_DONE || kind == PARLEY_BLOB_FAILED;
        case PARLEY_S_WS:
            return kind == PARLEY_WS_CLOSED || kind == PARLEY_WS_FAILED;
        case PARLEY_S_INBOUND:
            return kind == PARLEY_INBOUND_CLOSED;
        default:
            return true;
    }
}

std::string_view view(char const* bytes, std::size_t size) {
    return bytes ? std::string_view(bytes, size) : std::string_view();
}

}  // namespace

// The functions behind parley_host. All may be called from any thread.
struct HostFunctions {
    static Plugin& of(parley_host const* host) {
        return *static_cast<Plugin*>(const_cast<parley_host*>(host));
    }

    static parley_status complete(parley_host const* host, parley_id call, parley_status status,
                                  char const* bytes, std::size_t size) {
        auto& plugin = of(host);
        if (size > PARLEY_MESSAGE_MAX - 64) return PARLEY_E_LIMIT;
        if (status > 0) status = PARLEY_E_INTERNAL;
        std::lock_guard lock(plugin.mutex_);
        if (!plugin.end_call(call)) return PARLEY_E_STALE;
        plugin.link_.send(PARLEY_F_COMPLETE, call, {bytes_of(status), view(bytes, size)});
        return PARLEY_OK;
    }

    static parley_status emit(parley_host const* host, parley_id call, char const* bytes,
                              std::size_t size) {
        auto& plugin = of(host);
        if (size > PARLEY_MESSAGE_MAX) return PARLEY_E_LIMIT;
        std::lock_guard lock(plugin.mutex_);
        auto found = plugin.calls_.find(call);
        if (found == plugin.calls_.end()) return PARLEY_E_STALE;
        auto& credit = found->second.credit;
        if (credit <= 0) return PARLEY_E_LIMIT;
        credit -= static_cast<std::int64_t>(std::max<std::size_t>(size, 1));
        plugin.link_.send(PARLEY_F_EMIT, call, {view(bytes, size)});
        return credit <= 0 ? PARLEY_PAUSE : PARLEY_OK;
    }

    static void log(parley_host const* host, std::int32_t level, char const* text,
                    std::size_t size) {
        of(host).link_.send(PARLEY_F_LOG, 0,
                            {bytes_of(level), view(text, std::min(size, log_line_bytes))});
    }

    static void const* get_interface(parley_host const* host, char const* id);

    static parley_status http_start(parley_host const* host, parley_id call, char const* request,
                                    std::size_t request_size, char const* body,
                                    std::size_t body_size, parley_id* operation) {
        auto& plugin = of(host);
        if (request_size > PARLEY_MESSAGE_MAX || body_size > PARLEY_MESSAGE_MAX - request_size - 64)
            return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_HTTP, status);
        if (status != PARLEY_OK) return status;
        auto length = static_cast<std::uint32_t>(request_size);
        plugin.link_.send(
            PARLEY_F_HTTP_START, *operation,
            {bytes_of(call), bytes_of(length), view(request, request_size), view(body, body_size)});
        return PARLEY_OK;
    }

    static parley_status end(parley_host const* host, parley_id operation) {
        return of(host).end_operation(operation);
    }

    static parley_status stream_open(parley_host const* host, parley_id call, char const* request,
                                     std::size_t size, parley_id* operation) {
        auto& plugin = of(host);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_STREAM, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_STREAM_OPEN, *operation, {bytes_of(call), view(request, size)});
        return PARLEY_OK;
    }

    static parley_status stream_write(parley_host const* host, parley_id operation,
                                      char const* bytes, std::size_t size, char const* inject,
                                      std::size_t inject_size) {
        auto& plugin = of(host);
        if (inject_size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        auto length = inject ? static_cast<std::uint32_t>(inject_size) : 0u;
        return plugin.write(operation, PARLEY_S_STREAM, size, [&] {
            plugin.link_.send(PARLEY_F_STREAM_WRITE, operation,
                              {bytes_of(length), view(inject, length), view(bytes, size)});
        });
    }

    static parley_status ws_open(parley_host const* host, parley_id call, char const* request,
                                 std::size_t size, parley_id* operation) {
        auto& plugin = of(host);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_WS, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_WS_OPEN, *operation, {bytes_of(call), view(request, size)});
        return PARLEY_OK;
    }

    static parley_status ws_write(parley_host const* host, parley_id operation, std::uint32_t kind,
                                  char const* bytes, std::size_t size, char const* inject,
                                  std::size_t inject_size) {
        auto& plugin = of(host);
        if (kind != PARLEY_WS_TEXT && kind != PARLEY_WS_BINARY) return PARLEY_E_INVALID;
        if (inject_size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        auto length = inject ? static_cast<std::uint32_t>(inject_size) : 0u;
        return plugin.write(operation, PARLEY_S_WS, size, [&] {
            plugin.link_.send(
                PARLEY_F_WS_WRITE, operation,
                {bytes_of(kind), bytes_of(length), view(inject, length), view(bytes, size)});
        });
    }

    static parley_status ws_close(parley_host const* host, parley_id operation, std::uint32_t code,
                                  char const* reason, std::size_t size) {
        auto& plugin = of(host);
        if (!PARLEY_WS_CODE_OK(code)) return PARLEY_E_INVALID;
        if (size > PARLEY_WS_REASON_MAX) return PARLEY_E_LIMIT;
        std::lock_guard lock(plugin.mutex_);
        auto found = plugin.operations_.find(operation);
        if (found == plugin.operations_.end()) return PARLEY_E_STALE;
        if (found->second.service != PARLEY_S_WS) return PARLEY_E_INVALID;
        plugin.operations_.erase(found);
        plugin.link_.send(PARLEY_F_WS_CLOSE, operation, {bytes_of(code), view(reason, size)});
        return PARLEY_OK;
    }

    static parley_status timer_start(parley_host const* host, parley_id call,
                                     std::uint32_t after_ms, parley_id* operation) {
        auto& plugin = of(host);
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_TIMER, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_TIMER_START, *operation, {bytes_of(call), bytes_of(after_ms)});
        return PARLEY_OK;
    }

    static parley_status kv(parley_host const* host, parley_id call, std::uint32_t verb,
                            std::string_view key, std::string_view value, parley_id* operation) {
        auto& plugin = of(host);
        if (key.empty() || key.size() > key_bytes || value.size() > value_bytes)
            return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_KV, status);
        if (status != PARLEY_OK) return status;
        auto length = static_cast<std::uint32_t>(key.size());
        plugin.link_.send(PARLEY_F_KV, *operation,
                          {bytes_of(call), bytes_of(verb), bytes_of(length), key, value});
        return PARLEY_OK;
    }
    static parley_status kv_get(parley_host const* host, parley_id call, char const* key,
                                std::size_t size, parley_id* operation) {
        return kv(host, call, 1, view(key, size), {}, operation);
    }
    static parley_status kv_put(parley_host const* host, parley_id call, char const* key,
                                std::size_t key_size, char const* value, std::size_t size,
                                parley_id* operation) {
        return kv(host, call, 2, view(key, key_size), view(value, size), operation);
    }
    static parley_status kv_remove(parley_host const* host, parley_id call, char const* key,
                                   std::size_t size, parley_id* operation) {
        return kv(host, call, 3, view(key, size), {}, operation);
    }

    static parley_status blob_put(parley_host const* host, parley_id call, parley_id* operation) {
        auto& plugin = of(host);
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_BLOB, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_BLOB_PUT, *operation, {bytes_of(call)});
        return PARLEY_OK;
    }
    static parley_status blob_write(parley_host const* host, parley_id operation, char const* bytes,
                                    std::size_t size) {
        auto& plugin = of(host);
        return plugin.write(operation, PARLEY_S_BLOB, size, [&] {
            plugin.link_.send(PARLEY_F_BLOB_WRITE, operation, {view(bytes, size)});
        });
    }
    static parley_status blob_finish(parley_host const* host, parley_id operation) {
        auto& plugin = of(host);
        std::lock_guard lock(plugin.mutex_);
        auto found = plugin.operations_.find(operation);
        if (found == plugin.operations_.end()) return PARLEY_E_STALE;
        if (found->second.service != PARLEY_S_BLOB) return PARLEY_E_INVALID;
        plugin.link_.send(PARLEY_F_BLOB_FINISH, operation, {});
        return PARLEY_OK;
    }
    static parley_status blob_get(parley_host const* host, parley_id call, char const* request,
                                  std::size_t size, parley_id* operation) {
        auto& plugin = of(host);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_BLOB, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_BLOB_GET, *operation, {bytes_of(call), view(request, size)});
        return PARLEY_OK;
    }

    static parley_status reveal_get(parley_host const* host, parley_id call, char const* name,
                                    std::size_t size, parley_id* operation) {
        auto& plugin = of(host);
        if (size > key_bytes) return PARLEY_E_LIMIT;
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_REVEAL, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_REVEAL, *operation, {bytes_of(call), view(name, size)});
        return PARLEY_OK;
    }

    static parley_status inbound_listen(parley_host const* host, parley_id call,
                                        parley_id* operation) {
        auto& plugin = of(host);
        parley_status status = PARLEY_OK;
        std::lock_guard lock(plugin.mutex_);
        *operation = plugin.open_operation(call, PARLEY_S_INBOUND, status);
        if (status != PARLEY_OK) return status;
        plugin.link_.send(PARLEY_F_INBOUND_LISTEN, *operation, {bytes_of(call)});
        return PARLEY_OK;
    }
    static parley_status inbound_answer(parley_host const* host, parley_id operation,
                                        std::uint64_t request, char const* answer,
                                        std::size_t size) {
        auto& plugin = of(host);
        if (size > answer_bytes) return PARLEY_E_LIMIT;
        std::lock_guard lock(plugin.mutex_);
        auto found = plugin.operations_.find(operation);
        if (found == plugin.operations_.end()) return PARLEY_E_STALE;
        if (found->second.service != PARLEY_S_INBOUND) return PARLEY_E_INVALID;
        if (found->second.requests.erase(request) == 0) return PARLEY_E_STALE;
        plugin.link_.send(PARLEY_F_INBOUND_ANSWER, operation,
                          {bytes_of(request), view(answer, size)});
        return PARLEY_OK;
    }
};

void const* HostFunctions::get_interface(parley_host const* host, char const* id) {
    static constexpr parley_host_http_v1 http{sizeof http, 0, http_start, end};
    static constexpr parley_host_stream_v1 stream{sizeof stream, 0, stream_open, stream_write, end};
    static constexpr parley_host_ws_v1 ws{sizeof ws, 0, ws_open, ws_write, ws_close};
    static constexpr parley_host_timer_v1 timer{sizeof timer, 0, timer_start, end};
    static constexpr parley_host_kv_v1 store{sizeof store, 0, kv_get, kv_put, kv_remove};
    static constexpr parley_host_reveal_v1 reveal{sizeof reveal, 0, reveal_get};
    static constexpr parley_host_blob_v1 blob{sizeof blob, 0,        blob_put, blob_write,
                                              blob_finish, blob_get, end};
    static constexpr parley_host_inbound_v1 inbound{sizeof inbound, 0, inbound_listen,
                                                    inbound_answer, end};
    if (!id || !contains(of(host).setup_.services, id)) return nullptr;
    std::string_view asked(id);
    if (asked == PARLEY_HOST_HTTP) return &http;
    if (asked == PARLEY_HOST_STREAM) return &stream;
    if (asked == PARLEY_HOST_WS) return &ws;
    if (asked == PARLEY_HOST_TIMER) return &timer;
    if (asked == PARLEY_HOST_KV) return &store;
    if (asked == PARLEY_HOST_REVEAL) return &reveal;
    if (asked == PARLEY_HOST_BLOB) return &blob;
    if (asked == PARLEY_HOST_INBOUND) return &inbound;
    return nullptr;
}

Plugin::Plugin(Link& link, Setup const& setup)
    : parley_host{sizeof(parley_host),     PARLEY_ABI_MAJOR,
                  PARLEY_ABI_MINOR,        HostFunctions::get_interface,
                  HostFunctions::complete, HostFunctions::emit,
                  HostFunctions::log},
      link_(link),
      setup_(setup) {}

bool Plugin::refuse(parley_status status, std::string_view why) {
    link_.send(PARLEY_F_CREATED, 0, {bytes_of(status), why});
    link_.flush();
    return false;
}

bool Plugin::create(std::string const& path, std::string_view config) {
    namespace dll = boost::dll;
    try {
        // Never unloaded, whoever lets go of it: threads and exit handlers of the plugin may
        // outlive any moment that we could choose. The process ends instead.
        constexpr auto mode = dll::load_mode::rtld_now | dll::load_mode::rtld_local |
                              static_cast<dll::load_mode::type>(RTLD_NODELETE);
        dll::shared_library library(path, mode);
        if (!library.has("parley_plugin_v1"))
            return refuse(PARLEY_E_UNSUPPORTED, "the file exports no parley_plugin_v1");
        entry_ = &library.get<parley_entry const>("parley_plugin_v1");
    } catch (std::exception const& failure) {
        return refuse(PARLEY_E_INTERNAL, failure.what());
    }
    if (entry_->struct_size < offsetof(parley_entry, cancel) ||
        entry_->abi_major != PARLEY_ABI_MAJOR || entry_->abi_minor > PARLEY_ABI_MINOR)
        return refuse(PARLEY_E_UNSUPPORTED, "the plugin speaks another ABI");
    if (!entry_->create || !entry_->destroy || !entry_->get_interface)
        return refuse(PARLEY_E_UNSUPPORTED, "the plugin's entry lacks a function");
    auto status = entry_->create(this, config.data(), config.size(), &self_);
    if (status != PARLEY_OK)
        return refuse(status < 0 ? status : PARLEY_E_INTERNAL, "the plugin's create() failed");
    for (unsigned kind = 1; kind < std::size(role_ids); ++kind) {
        if (!contains(setup_.roles, role_ids[kind])) continue;
        roles_[kind] = entry_->get_interface(self_, role_ids[kind]);
        if (!roles_[kind])
            return refuse(PARLEY_E_UNSUPPORTED,
                          std::string("the plugin declares ") + role_ids[kind] + " but lacks it");
    }
    for (unsigned kind = 1; kind < std::size(sink_ids); ++kind)
        if (*sink_ids[kind])
            sinks_[kind] = static_cast<parley_event_sink_v1 const*>(
                entry_->get_interface(self_, sink_ids[kind]));
    ack_sink_ =
        static_cast<parley_ack_sink_v1 const*>(entry_->get_interface(self_, PARLEY_SINK_ACK));
    flow_sink_ =
        static_cast<parley_flow_sink_v1 const*>(entry_->get_interface(self_, PARLEY_SINK_FLOW));
    link_.send(PARLEY_F_CREATED, 0, {bytes_of(status)});
    return true;
}

void Plugin::destroy() {
    if (entry_ && self_) entry_->destroy(std::exchange(self_, nullptr));
    link_.flush();
}

bool Plugin::is_open(std::uint64_t call) {
    std::lock_guard lock(mutex_);
    return calls_.contains(call);
}

bool Plugin::end_call(std::uint64_t call) {
    if (calls_.erase(call) == 0) return false;
    // The host ends these by itself; here only their late events are dropped.
    std::erase_if(operations_, [call](auto const& entry) { return entry.second.call == call; });
    return true;
}

parley_id Plugin::open_operation(std::uint64_t call, std::uint32_t service, parley_status& status) {
    if (!calls_.contains(call)) return status = PARLEY_E_STALE, 0;
    if (operations_.size() >= operations_most) return status = PARLEY_E_LIMIT, 0;
    auto id = next_operation_.fetch_add(2);
    operations_.emplace(id, Operation{call, service, PARLEY_CREDIT});
    return id;
}

parley_status Plugin::write(std::uint64_t operation, std::uint32_t service, std::size_t size,
                            std::function<void()> const& send) {
    if (size > PARLEY_CREDIT) return PARLEY_E_LIMIT;
    std::lock_guard lock(mutex_);
    auto found = operations_.find(operation);
    if (found == operations_.end()) return PARLEY_E_STALE;
    if (found->second.service != service) return PARLEY_E_INVALID;
    auto& credit = found->second.credit;
    if (credit <= 0) return PARLEY_E_LIMIT;
    credit -= static_cast<std::int64_t>(std::max<std::size_t>(size, 1));
    send();
    return credit <= 0 ? PARLEY_PAUSE : PARLEY_OK;
}

parley_status Plugin::end_operation(std::uint64_t operation) {
    std::lock_guard lock(mutex_);
    if (operations_.erase(operation) == 0) return PARLEY_E_STALE;
    link_.send(PARLEY_F_END, operation, {});
    return PARLEY_OK;
}

parley_start_fn Plugin::verb(std::uint32_t number) const {
    auto kind = number >> 8, index = number & 0xff;
    if (kind >= std::size(roles_) || !roles_[kind]) return nullptr;
    auto const* bytes = static_cast<char const*>(roles_[kind]);
    std::uint32_t size;
    std::memcpy(&size, bytes, sizeof size);
    auto offset = 8 + index * sizeof(parley_start_fn);
    if (offset + sizeof(parley_start_fn) > size) return nullptr;
    parley_start_fn function;
    std::memcpy(&function, bytes + offset, sizeof function);
    return function;
}

void Plugin::start(std::uint64_t call, std::string_view body) {
    std::uint32_t number, timeout_ms;
    if (!take_number(body, number) || !take_number(body, timeout_ms)) return;
    {
        std::lock_guard lock(mutex_);
        calls_.emplace(call, Call{PARLEY_CREDIT});
    }
    auto function = verb(number);
    auto status = function ? function(self_, call, timeout_ms, body.data(), body.size())
                           : parley_status{PARLEY_E_UNSUPPORTED};
    if (status == PARLEY_PENDING) return;
    // Anything else means that no complete() comes, so this is the end of the call.
    std::lock_guard lock(mutex_);
    if (!end_call(call)) return;
    if (status >= 0) status = PARLEY_E_INTERNAL;
    link_.send(PARLEY_F_COMPLETE, call, {bytes_of(status)});
}

void Plugin::event(std::uint64_t operation, std::string_view body) {
    std::uint64_t call;
    std::uint32_t service, kind;
    if (!take_number(body, call) || !take_number(body, service) || !take_number(body, kind)) return;
    {
        std::lock_guard lock(mutex_);
        auto found = operations_.find(operation);
        if (found == operations_.end()) return;
        if (service == PARLEY_S_INBOUND) {
            std::uint64_t request;
            if (!take_number(body, request)) return;
            if (kind == PARLEY_INBOUND_REQUEST) found->second.requests.insert(request);
            if (kind == PARLEY_INBOUND_GONE) found->second.requests.erase(request);
        }
        if (is_last(service, kind)) operations_.erase(found);
    }
    auto const* sink = service < std::size(sinks_) ? sinks_[service] : nullptr;
    if (sink && PARLEY_HAS(sink, on_event))
        sink->on_event(self_, call, operation, kind, body.data(), body.size());
    // The bytes lie in the link's own buffer, where the next message may leave them standing.
    if (service == PARLEY_S_REVEAL) explicit_bzero(const_cast<char*>(body.data()), body.size());
}

void Plugin::credit(std::uint64_t id, std::string_view body) {
    std::uint32_t bytes;
    if (!take_number(body, bytes)) return;
    std::uint64_t call = id;
    {
        std::lock_guard lock(mutex_);
        std::int64_t* credit = nullptr;
        if (id % 2 == 0) {
            if (auto found = calls_.find(id); found != calls_.end()) credit = &found->second.credit;
        } else if (auto found = operations_.find(id); found != operations_.end()) {
            credit = &found->second.credit;
            call = found->second.call;
        }
        if (!credit) return;
        bool paused = *credit <= 0;
        *credit += bytes;
        if (!paused || *credit <= 0) return;
    }
    if (flow_sink_ && PARLEY_HAS(flow_sink_, on_resume)) flow_sink_->on_resume(self_, call);
}

void Plugin::handle(Message const& message) {
    switch (message.type) {
        case PARLEY_F_START:
            return start(message.id, message.body);
        case PARLEY_F_CREDIT:
            return credit(message.id, message.body);
        case PARLEY_F_EVENT:
            return event(message.id, message.body);
        case PARLEY_F_CANCEL:
            if (is_open(message.id) && PARLEY_HAS(entry_, cancel))
                entry_->cancel(self_, message.id);
            return;
        case PARLEY_F_ACK:
            if (is_open(message.id) && ack_sink_ && PARLEY_HAS(ack_sink_, on_ack))
                ack_sink_->on_ack(self_, message.id, message.body.data(), message.body.size());
            return;
        default:
            return;  // a newer host may say more; what matters is negotiated by READY
    }
}

}  // namespace parley::worker
