#include "plugin/life.hpp"

#include "base/guard.hpp"
#include "base/limits.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <algorithm>
#include <utility>

// The half of a worker's life that stands between its plugin and the services.
namespace parley {

void Life::on_service(std::uint16_t type, std::uint64_t id, std::string_view body) {
    std::uint64_t call = 0;
    std::uint32_t number = 0, length = 0;
    if ((id % 2 == 0 || operations_.contains(id)) && holds("operation-id"))
        return end("the worker used an operation id that is not its own or not new");
    if (!take_number(body, call) || (!calls_.contains(call) && holds("service-call")))
        return end("the worker asked a service for a call that is not open");
    char const* service = type == PARLEY_F_HTTP_START       ? PARLEY_HOST_HTTP
                          : type == PARLEY_F_STREAM_OPEN    ? PARLEY_HOST_STREAM
                          : type == PARLEY_F_KV             ? PARLEY_HOST_KV
                          : type == PARLEY_F_REVEAL         ? PARLEY_HOST_REVEAL
                          : type == PARLEY_F_BLOB_PUT       ? PARLEY_HOST_BLOB
                          : type == PARLEY_F_BLOB_GET       ? PARLEY_HOST_BLOB
                          : type == PARLEY_F_WS_OPEN        ? PARLEY_HOST_WS
                          : type == PARLEY_F_INBOUND_LISTEN ? PARLEY_HOST_INBOUND
                                                            : PARLEY_HOST_TIMER;
    if (!spec_.file->manifest().asks_for(service) && holds("service-declared"))
        return end(std::string("the manifest does not name ") + service);
    if (operations_.size() >= limits::egress_per_worker)
        return end("the worker has too many operations open");
    std::shared_ptr<Operation> operation;
    switch (type) {
        case PARLEY_F_HTTP_START:
            if (!take_number(body, length) || length > body.size()) break;
            operation = start_http(*this, call, id, body.substr(0, length), body.substr(length));
            break;
        case PARLEY_F_STREAM_OPEN:
            operation = start_stream(*this, call, id, body);
            break;
        case PARLEY_F_WS_OPEN:
            operation = start_ws(*this, call, id, body);
            break;
        case PARLEY_F_TIMER_START:
            if (take_number(body, number)) operation = start_timer(*this, call, id, number);
            break;
        case PARLEY_F_INBOUND_LISTEN:
            operation = start_inbound(*this, call, id);
            break;
        case PARLEY_F_REVEAL:
            operation = start_reveal(*this, call, id, body);
            break;
        case PARLEY_F_BLOB_PUT:
            operation = start_blob_put(*this, call, id);
            break;
        case PARLEY_F_BLOB_GET:
            operation = start_blob_get(*this, call, id, body);
            break;
        default:
            if (!take_number(body, number) || !take_number(body, length) || length > body.size())
                break;
            operation =
                start_kv(*this, call, id, number, body.substr(0, length), body.substr(length));
    }
    if (!operation) return end("the worker asked a service with a short frame");
    operations_.emplace(id, std::move(operation));
}

// What the worker says to an operation that it has opened.
void Life::on_word(std::uint16_t type, std::uint64_t id, std::string_view body) {
    auto found = operations_.find(id);
    if (found == operations_.end()) return;  // closed meanwhile by the other side: no lie
    auto operation = found->second;
    auto service = type == PARLEY_F_STREAM_WRITE ? PARLEY_S_STREAM
                   : type == PARLEY_F_WS_WRITE   ? PARLEY_S_WS
                                                 : PARLEY_S_BLOB;
    if (operation->service() != static_cast<std::uint32_t>(service))
        return end("the worker wrote to an operation of another service");
    if (!operation->hear(type, body)) end("the worker wrote with a short frame");
}

// The last word to a WebSocket.
void Life::on_goodbye(std::uint64_t id, std::string_view body) {
    std::uint32_t code = 0;
    if (!take_number(body, code)) return end("the worker closed with a short frame");
    if (!PARLEY_WS_CODE_OK(code) || body.size() > PARLEY_WS_REASON_MAX)
        return end("the worker said goodbye with a code or reason that is none");
    auto node = operations_.extract(id);
    if (!node) return;  // closed meanwhile by the other side: no lie
    if (node.mapped()->service() != PARLEY_S_WS)
        return end("the worker said goodbye to what is no WebSocket");
    node.mapped()->say_goodbye(code, body);
    node.mapped()->ended();
}

void Life::on_answer(std::uint64_t id, std::string_view body) {
    std::uint64_t request = 0;
    if (!take_number(body, request)) return end("the worker answered with a short frame");
    auto found = operations_.find(id);
    if (found == operations_.end()) return;  // closed meanwhile: no lie
    auto operation = found->second;
    if (!operation->answer(request, body))
        end("the worker answered a webhook that it was never given");
}

void Life::tell(std::uint64_t operation, std::uint32_t kind, std::string_view bytes, bool last) {
    auto found = operations_.find(operation);
    if (found == operations_.end() || stage_ != Stage::ready) return;
    auto call = found->second->call();
    auto service = found->second->service();
    link_->send(PARLEY_F_EVENT, operation,
                {bytes_of(call), bytes_of(service), bytes_of(kind), bytes});
    if (last) operations_.erase(found);
}

void Life::tell_secret(std::uint64_t operation, std::uint32_t kind, std::string_view bytes) {
    auto found = operations_.find(operation);
    if (found == operations_.end() || stage_ != Stage::ready) return;
    auto call = found->second->call();
    auto service = found->second->service();
    link_->send_secret(PARLEY_F_EVENT, operation,
                       {bytes_of(call), bytes_of(service), bytes_of(kind), bytes});
    operations_.erase(found);
}

void Life::give_credit(std::uint64_t operation, std::uint32_t bytes) {
    if (stage_ == Stage::ready && operations_.contains(operation))
        link_->send(PARLEY_F_CREDIT, operation, {bytes_of(bytes)});
}

void Life::when_may_leave(std::uint64_t id, std::function<void()> go) {
    auto found = calls_.find(id);
    if (found == calls_.end()) return;
    auto& call = found->second;
    if (call.sink.egress) call.sink.egress(+1);
    if (call.leave == Call::Leave::free) return go();
    call.waiting.push_back(std::move(go));
    if (call.leave == Call::Leave::asked) return;
    call.leave = Call::Leave::asked;
    auto ask = call.sink.before_egress;
    ask([weak = weak_from_this(), id] {
        auto self = weak.lock();
        if (!self) return;
        auto open = self->calls_.find(id);
        if (open == self->calls_.end()) return;
        open->second.leave = Call::Leave::free;
        auto waiting = std::exchange(open->second.waiting, {});
        for (auto& next : waiting) next();
    });
}

void Life::stayed(std::uint64_t id) {
    auto found = calls_.find(id);
    if (found != calls_.end() && found->second.sink.egress) found->second.sink.egress(-1);
}

void Life::secret_found(std::uint64_t id, std::string const& name) {
    if (auto found = calls_.find(id); found != calls_.end())
        found->second.fate =
            Error(Fault::secret, "the secret " + name + " stood in what the plugin " + spec_.name +
                                     " was about to send or was sent");
}

}  // namespace parley
