#include "stage.hpp"

#include "check/frames.h"
#include "hunger.hpp"

#include <boost/dll/shared_library.hpp>

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

namespace parley::worker {

namespace {

Stage* stage = nullptr;  // one in a process; tables have no room for a pointer to it

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
constexpr std::size_t operations_most = 64, key_bytes = 256, value_bytes = 65536,
                      answer_bytes = 16384;
constexpr std::size_t blob_bytes = 20u << 20;
constexpr std::size_t log_lines = 200;           // what a host keeps in a second
constexpr std::size_t told_most = 64u << 20;     // of items, to the judge
constexpr std::size_t unmapped_most = 4u << 20;  // it counts against the memory of the plugin
constexpr std::size_t said_most = 4096;          // of one call, kept to be compared
constexpr double start_seconds_warn = 0.005, start_seconds_fail = 0.05;
constexpr auto stuck_time = std::chrono::seconds(5);

std::size_t page_size() {
    static auto const size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

// Bytes at the very end of readable memory: who reads one more dies.
class Guarded {
public:
    explicit Guarded(std::size_t size) : size_(size) {
        pages_ = (size + page_size() - 1) / page_size() * page_size() + page_size();
        auto* memory = mmap(nullptr, pages_ + page_size(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        begin_ = static_cast<char*>(memory);
        mprotect(begin_ + pages_, page_size(), PROT_NONE);
    }
    Guarded(Guarded const&) = delete;
    char* data() const { return begin_ ? begin_ + pages_ - size_ : nullptr; }
    // Nobody can touch it from now on, and nothing else comes to lie there.
    void shut() {
        if (!begin_) return;
        static std::size_t shut_bytes = 0;
        shut_bytes += pages_;
        if (shut_bytes < unmapped_most)
            mprotect(begin_, pages_, PROT_NONE);
        else
            munmap(begin_, pages_ + page_size());
    }

private:
    std::size_t size_, pages_ = 0;
    char* begin_ = nullptr;
};

// Bytes that the plugin may look at until it returns.
class Borrowed {
public:
    Borrowed(std::string_view bytes, Manner::Bytes how) : how_(how), size_(bytes.size()) {
        if (how == Manner::Bytes::unmapped) guarded_.emplace(bytes.size());
        if (!guarded_ || !guarded_->data()) guarded_.reset(), copy_ = bytes;
        std::copy(bytes.begin(), bytes.end(), data());
    }
    Borrowed(Borrowed const&) = delete;
    ~Borrowed() {
        if (guarded_)
            guarded_->shut();
        else if (how_ == Manner::Bytes::scribbled)
            std::fill(copy_.begin(), copy_.end(), '#');
        else
            keep(std::move(copy_));
    }
    char* data() { return guarded_ ? guarded_->data() : copy_.data(); }
    std::size_t size() const { return size_; }

private:
    // For the life of the process, at the same place.
    static void keep(std::string&& bytes) {
        static auto* kept = new std::deque<std::string>;
        kept->push_back(std::move(bytes));
    }

    Manner::Bytes how_;
    std::size_t size_;
    std::optional<Guarded> guarded_;
    std::string copy_;
};

double seconds_of(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::string_view view(char const* bytes, std::size_t size) {
    return bytes ? std::string_view(bytes, size) : std::string_view();
}

// Of an item that says how far the service has been read; as it is written there.
std::string cursor_in(std::string_view item) {
    constexpr std::string_view key = R"("cursor":")";
    auto at = item.find(key);
    if (at == item.npos) return {};
    auto rest = item.substr(at + key.size());
    auto cursor = rest.substr(0, rest.find('"'));
    return cursor.find('\\') == cursor.npos ? std::string(cursor) : std::string();
}

bool contains(std::vector<std::string> const& list, std::string_view id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

}  // namespace

// What the plugin calls. All from any thread.
struct Lent {
    struct Lock {
        Fed fed;
        std::lock_guard<std::mutex> held;
        explicit Lock(std::mutex& mutex) : held(mutex) {}
    };

    static parley_status complete(parley_host const*, parley_id id, parley_status status,
                                  char const* bytes, std::size_t size) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_MESSAGE_MAX - 64) {
            stage->finding("response-schema", "an answer is larger than a message may be");
            return PARLEY_E_LIMIT;
        }
        auto found = stage->calls_.find(id);
        if (found == stage->calls_.end()) return stage->note_id(id, "completes"), PARLEY_E_STALE;
        auto& call = found->second;
        if (call.ended) {
            if (call.refused)
                stage->finding("refused-is-ended", "a call that was refused is completed as well");
            else if (!stage->manner.forgets)
                stage->finding("completes-once", "a call is completed that has ended");
            return PARLEY_E_STALE;
        }
        if (status > 0)
            stage->finding("completes-once", "a call is completed with the status " +
                                                 std::to_string(status) + ", which is no end");
        stage->tell(PARLEY_F_COMPLETE, id, {bytes_of(status), view(bytes, size)});
        call.said.append(view(bytes, size).substr(0, said_most));
        stage->end(call, id, status);
        return PARLEY_OK;
    }

    static parley_status emit(parley_host const*, parley_id id, char const* bytes,
                              std::size_t size) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_MESSAGE_MAX) return PARLEY_E_LIMIT;
        auto found = stage->calls_.find(id);
        if (found == stage->calls_.end()) return stage->note_id(id, "emits for"), PARLEY_E_STALE;
        auto& call = found->second;
        ++stage->activity_;
        if (call.ended) return PARLEY_E_STALE;
        if (++stage->requests_made_ == stage->manner.refuses) return PARLEY_E_LIMIT;
        if (call.paused && ++call.beyond == 2)
            stage->finding("backpressure", "it emits after PARLEY_PAUSE, before on_resume");
        if (call.paused && call.credit <= 0) return PARLEY_E_LIMIT;
        call.credit -= static_cast<std::int64_t>(std::max<std::size_t>(size, 1));
        stage->tell(PARLEY_F_EMIT, id, {view(bytes, size)});
        if (call.said.size() < said_most)
            call.said.append(view(bytes, size).substr(0, said_most)).append("\n");
        if (auto cursor = cursor_in(view(bytes, size));
            !cursor.empty() && stage->manner.world == Manner::World::good)
            stage->durable_.emplace_back(id, std::move(cursor));
        if (!stage->manner.pauses && call.credit > 0) return PARLEY_OK;
        call.paused = true;
        stage->changed_.notify_all();
        return PARLEY_PAUSE;
    }

    static void log(parley_host const*, std::int32_t level, char const* text, std::size_t size) {
        Lock lock(stage->mutex_);
        if (++stage->lines_ == 4 * log_lines)
            stage->finding("backpressure", "it logs more lines than a host keeps, " +
                                               std::to_string(log_lines) + " a second");
        if (stage->lines_ < 4 * log_lines)
            stage->tell(PARLEY_F_LOG, 0,
                        {bytes_of(level), view(text, std::min<std::size_t>(size, 8192))});
    }

    static void const* get_interface(parley_host const*, char const* id);

    static parley_status http_start(parley_host const*, parley_id call, char const* request,
                                    std::size_t size, char const* body, std::size_t body_size,
                                    parley_id* operation) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_MESSAGE_MAX || body_size > PARLEY_MESSAGE_MAX - size - 64)
            return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_HTTP, operation);
        if (status != PARLEY_OK) return status;
        auto length = static_cast<std::uint32_t>(size);
        stage->tell(PARLEY_F_HTTP_START, *operation,
                    {bytes_of(call), bytes_of(length), view(request, size), view(body, body_size)});
        stage->answer_http(*operation, view(request, size));
        return PARLEY_OK;
    }

    static parley_status end(parley_host const*, parley_id operation) {
        Lock lock(stage->mutex_);
        return stage->operations_.erase(operation) ? PARLEY_OK : PARLEY_E_STALE;
    }

    static parley_status stream_open(parley_host const*, parley_id call, char const* request,
                                     std::size_t size, parley_id* operation) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_STREAM, operation);
        if (status != PARLEY_OK) return status;
        stage->tell(PARLEY_F_STREAM_OPEN, *operation, {bytes_of(call), view(request, size)});
        stage->answer_stream(*operation);
        return PARLEY_OK;
    }

    static parley_status stream_write(parley_host const*, parley_id operation, char const* bytes,
                                      std::size_t size, char const* inject,
                                      std::size_t inject_size) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_CREDIT || inject_size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        if (!stage->operations_.contains(operation)) return PARLEY_E_STALE;
        if (++stage->requests_made_ == stage->manner.refuses) return PARLEY_E_LIMIT;
        auto length = inject ? static_cast<std::uint32_t>(inject_size) : 0u;
        stage->tell(PARLEY_F_STREAM_WRITE, operation,
                    {bytes_of(length), view(inject, length), view(bytes, size)});
        return PARLEY_OK;
    }

    static parley_status ws_open(parley_host const*, parley_id call, char const* request,
                                 std::size_t size, parley_id* operation) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_WS, operation);
        if (status != PARLEY_OK) return status;
        stage->tell(PARLEY_F_WS_OPEN, *operation, {bytes_of(call), view(request, size)});
        stage->answer_ws(*operation);
        return PARLEY_OK;
    }

    static parley_status ws_write(parley_host const*, parley_id operation, std::uint32_t kind,
                                  char const* bytes, std::size_t size, char const* inject,
                                  std::size_t inject_size) {
        Lock lock(stage->mutex_);
        if (kind != PARLEY_WS_TEXT && kind != PARLEY_WS_BINARY) return PARLEY_E_INVALID;
        if (size > PARLEY_CREDIT || inject_size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        if (!stage->operations_.contains(operation)) return PARLEY_E_STALE;
        if (++stage->requests_made_ == stage->manner.refuses) return PARLEY_E_LIMIT;
        auto length = inject ? static_cast<std::uint32_t>(inject_size) : 0u;
        stage->tell(PARLEY_F_WS_WRITE, operation,
                    {bytes_of(kind), bytes_of(length), view(inject, length), view(bytes, size)});
        return PARLEY_OK;
    }

    static parley_status ws_close(parley_host const*, parley_id operation, std::uint32_t code,
                                  char const* reason, std::size_t size) {
        Lock lock(stage->mutex_);
        if (!PARLEY_WS_CODE_OK(code)) return PARLEY_E_INVALID;
        if (size > PARLEY_WS_REASON_MAX) return PARLEY_E_LIMIT;
        if (!stage->operations_.erase(operation)) return PARLEY_E_STALE;
        stage->tell(PARLEY_F_WS_CLOSE, operation, {bytes_of(code), view(reason, size)});
        return PARLEY_OK;
    }

    static parley_status timer_start(parley_host const*, parley_id call, std::uint32_t after_ms,
                                     parley_id* operation) {
        Lock lock(stage->mutex_);
        auto status = stage->request(call, PARLEY_S_TIMER, operation);
        if (status == PARLEY_OK) stage->operations_[*operation].due = stage->now_ + after_ms;
        return status;
    }

    static parley_status kv(std::uint32_t verb, parley_id call, std::string_view key,
                            std::string_view value, parley_id* operation) {
        Lock lock(stage->mutex_);
        if (key.empty() || key.size() > key_bytes || value.size() > value_bytes)
            return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_KV, operation);
        if (status != PARLEY_OK) return status;
        auto length = static_cast<std::uint32_t>(key.size());
        stage->tell(PARLEY_F_KV, *operation,
                    {bytes_of(call), bytes_of(verb), bytes_of(length), key, value});
        using World = Manner::World;
        auto world = stage->manner.world;
        if (world == World::silent || world == World::stalling) return PARLEY_OK;
        if (world == World::failing) {
            stage->queue(*operation, PARLEY_KV_FAILED,
                         R"({"code":"unavailable","message":"the store is not there"})", true);
            return PARLEY_OK;
        }
        std::string name(key), found;
        bool missing = verb == 1 && !stage->store_.contains(name);
        if (verb == 1 && !missing) found = stage->store_[name];
        if (verb == 2) stage->store_[name] = value;
        if (verb == 3) stage->store_.erase(name);
        if (world == World::garbled && verb == 1)
            found = "\xff\xfe not what was put", missing = false;
        stage->queue(*operation, missing ? PARLEY_KV_MISSING : PARLEY_KV_DONE, found, true);
        return PARLEY_OK;
    }
    static parley_status kv_get(parley_host const*, parley_id call, char const* key,
                                std::size_t size, parley_id* operation) {
        return kv(1, call, view(key, size), {}, operation);
    }
    static parley_status kv_put(parley_host const*, parley_id call, char const* key,
                                std::size_t key_size, char const* value, std::size_t size,
                                parley_id* operation) {
        return kv(2, call, view(key, key_size), view(value, size), operation);
    }
    static parley_status kv_remove(parley_host const*, parley_id call, char const* key,
                                   std::size_t size, parley_id* operation) {
        return kv(3, call, view(key, size), {}, operation);
    }

    static parley_status reveal_get(parley_host const*, parley_id call, char const* name,
                                    std::size_t size, parley_id* operation) {
        Lock lock(stage->mutex_);
        if (size > key_bytes) return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_REVEAL, operation);
        if (status != PARLEY_OK) return status;
        stage->tell(PARLEY_F_REVEAL, *operation, {bytes_of(call), view(name, size)});
        if (stage->manner.world == Manner::World::good)
            stage->queue(*operation, PARLEY_REVEAL_DONE, stage->script_.canary, true);
        else
            stage->queue(*operation, PARLEY_REVEAL_FAILED,
                         R"({"code":"denied","message":"the operator does not grant it"})", true);
        return PARLEY_OK;
    }

    static parley_status blob_put(parley_host const*, parley_id call, parley_id* operation) {
        Lock lock(stage->mutex_);
        auto status = stage->request(call, PARLEY_S_BLOB, operation);
        if (status != PARLEY_OK) return status;
        stage->tell(PARLEY_F_BLOB_PUT, *operation, {bytes_of(call)});
        if (stage->manner.world == Manner::World::failing)
            stage->queue(*operation, PARLEY_BLOB_FAILED,
                         R"({"code":"limit","message":"the instance keeps too many bytes"})", true);
        else
            stage->drafts_[*operation];
        return PARLEY_OK;
    }
    static parley_status blob_write(parley_host const*, parley_id operation, char const* bytes,
                                    std::size_t size) {
        Lock lock(stage->mutex_);
        if (size > PARLEY_CREDIT) return PARLEY_E_LIMIT;
        if (!stage->operations_.contains(operation)) return PARLEY_E_STALE;
        if (++stage->requests_made_ == stage->manner.refuses) return PARLEY_E_LIMIT;
        stage->tell(PARLEY_F_BLOB_WRITE, operation, {view(bytes, size)});
        auto draft = stage->drafts_.find(operation);
        if (draft == stage->drafts_.end())
            return PARLEY_OK;  // it has failed; the event is under way
        draft->second += view(bytes, size);
        if (draft->second.size() <= blob_bytes) return PARLEY_OK;
        stage->drafts_.erase(draft);
        stage->queue(operation, PARLEY_BLOB_FAILED,
                     R"({"code":"limit","message":"a blob may not be so large"})", true);
        return PARLEY_OK;
    }
    static parley_status blob_finish(parley_host const*, parley_id operation) {
        using World = Manner::World;
        Lock lock(stage->mutex_);
        if (!stage->operations_.contains(operation)) return PARLEY_E_STALE;
        stage->tell(PARLEY_F_BLOB_FINISH, operation, {});
        auto draft = stage->drafts_.extract(operation);
        auto world = stage->manner.world;
        if (!draft || world == World::silent || world == World::stalling) return PARLEY_OK;
        // No digest is at hand here, and a plugin must not know how a blob gets its name.
        auto number = std::to_string(stage->blobs_.size() + 1);
        auto id = "b-" + std::string(64 - number.size(), '0') + number;
        stage->blobs_[id] = std::move(draft.mapped());
        stage->answer_blob(operation, id);
        return PARLEY_OK;
    }
    static parley_status blob_get(parley_host const*, parley_id call, char const* request,
                                  std::size_t size, parley_id* operation) {
        using World = Manner::World;
        Lock lock(stage->mutex_);
        if (size > PARLEY_FRAME_BODY_MAX) return PARLEY_E_LIMIT;
        auto status = stage->request(call, PARLEY_S_BLOB, operation);
        if (status != PARLEY_OK) return status;
        stage->tell(PARLEY_F_BLOB_GET, *operation, {bytes_of(call), view(request, size)});
        auto world = stage->manner.world;
        if (world == World::silent) return PARLEY_OK;
        if (world == World::failing) {
            stage->queue(*operation, PARLEY_BLOB_FAILED,
                         R"({"code":"not_found","message":"there is no such blob"})", true);
            return PARLEY_OK;
        }
        // One that only a request made up by the schema speaks of is there too.
        std::string id = "b-" + std::string(64, '0'), content = "what lies in a file";
        for (auto const& [known, bytes] : stage->blobs_)
            if (view(request, size).find(known) != std::string_view::npos)
                id = known, content = bytes;
        for (std::size_t at = 0; at < content.size(); at += PARLEY_FRAME_BODY_MAX)
            stage->queue(*operation, PARLEY_BLOB_DATA, content.substr(at, PARLEY_FRAME_BODY_MAX),
                         false);
        if (world != World::stalling) stage->answer_blob(*operation, id);
        return PARLEY_OK;
    }

    static parley_status inbound_listen(parley_host const*, parley_id call, parley_id* operation) {
        Lock lock(stage->mutex_);
        auto status = stage->request(call, PARLEY_S_INBOUND, operation);
        if (status == PARLEY_OK) stage->answer_inbound(*operation);
        return status;
    }
    static parley_status inbound_answer(parley_host const*, parley_id operation,
                                        std::uint64_t request, char const* answer,
                                        std::size_t size) {
        Lock lock(stage->mutex_);
        if (size > answer_bytes) return PARLEY_E_LIMIT;
        ++stage->activity_;
        stage->changed_.notify_all();
        auto found = stage->operations_.find(operation);
        if (found == stage->operations_.end()) return PARLEY_E_STALE;
        if (request == 0 || request > stage->last_webhook_)
            return stage->finding("stale-id", "it answers a webhook that it was never given"),
                   PARLEY_E_STALE;
        if (found->second.requests.erase(request) == 0)
            return stage->finding("completes-once", "it answers a webhook twice"), PARLEY_E_STALE;
        stage->tell(PARLEY_F_INBOUND_ANSWER, operation, {bytes_of(request), view(answer, size)});
        return PARLEY_OK;
    }
};

namespace {

constexpr parley_host_http_v1 http_service{sizeof http_service, 0, Lent::http_start, Lent::end};
constexpr parley_host_stream_v1 stream_service{sizeof stream_service, 0, Lent::stream_open,
                                               Lent::stream_write, Lent::end};
constexpr parley_host_ws_v1 ws_service{sizeof ws_service, 0, Lent::ws_open, Lent::ws_write,
                                       Lent::ws_close};
constexpr parley_host_timer_v1 timer_service{sizeof timer_service, 0, Lent::timer_start, Lent::end};
constexpr parley_host_kv_v1 kv_service{sizeof kv_service, 0, Lent::kv_get, Lent::kv_put,
                                       Lent::kv_remove};
constexpr parley_host_reveal_v1 reveal_service{sizeof reveal_service, 0, Lent::reveal_get};
constexpr parley_host_blob_v1 blob_service{
    sizeof blob_service, 0,        Lent::blob_put, Lent::blob_write, Lent::blob_finish,
    Lent::blob_get,      Lent::end};
constexpr parley_host_inbound_v1 inbound_service{sizeof inbound_service, 0, Lent::inbound_listen,
                                                 Lent::inbound_answer, Lent::end};

}  // namespace

void const* Lent::get_interface(parley_host const*, char const* id) {
    if (!id) return nullptr;
    std::string_view name(id);
    auto const& script = stage->script_;
    bool given = contains(script.required, name) ||
                 (!stage->manner.only_required && contains(script.optional, name));
    if (!given) return nullptr;
    if (name == PARLEY_HOST_HTTP) return &http_service;
    if (name == PARLEY_HOST_STREAM) return &stream_service;
    if (name == PARLEY_HOST_WS) return &ws_service;
    if (name == PARLEY_HOST_TIMER) return &timer_service;
    if (name == PARLEY_HOST_KV) return &kv_service;
    if (name == PARLEY_HOST_REVEAL) return &reveal_service;
    if (name == PARLEY_HOST_BLOB) return &blob_service;
    if (name == PARLEY_HOST_INBOUND) return &inbound_service;
    return nullptr;
}

// ---- The life of the plugin ---------------------------------------------------------------------

Stage::Stage(Link& link, Script const& script) : link_(link), script_(script) {
    stage = this;
}

bool Stage::load(std::string const& path) {
    namespace dll = boost::dll;
    try {
        // Never unloaded, as in a worker.
        auto* library =
            new dll::shared_library(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
        entry_ = &library->get<parley_entry const>("parley_plugin_v1");
    } catch (std::exception const& failure) {
        return finding("!", std::string("it cannot be loaded: ") + failure.what()), false;
    }
    return true;
}

parley_status Stage::create() {
    // Exactly as large as a host of this minor has it, with no memory behind.
    constexpr std::size_t later_bytes = 256;
    auto size = sizeof(parley_host) + (manner.is_newer ? later_bytes : 0);
    auto* table = new Guarded(size);
    if (!table->data()) return PARLEY_E_LIMIT;
    std::memset(table->data(), 0xa5, size);
    host_ = new (table->data())
        parley_host{static_cast<std::uint32_t>(size),
                    PARLEY_ABI_MAJOR,
                    static_cast<std::uint16_t>(PARLEY_ABI_MINOR + (manner.is_newer ? 7 : 0)),
                    Lent::get_interface,
                    Lent::complete,
                    Lent::emit,
                    Lent::log};
    is_alive_ = true;
    parley_status status = PARLEY_E_INTERNAL;
    enter([&] {
        Borrowed config(script_.config, manner.bytes);
        Hunger hunger(manner.starves);
        status = entry_->create(host_, config.data(), config.size(), &self_);
    });
    if (status != PARLEY_OK) return is_alive_ = false, status;
    for (unsigned kind = 1; kind < std::size(role_ids); ++kind)
        roles_[kind] = contains(script_.roles, role_ids[kind]) ? ask(role_ids[kind]) : nullptr;
    for (unsigned kind = 1; kind < std::size(sink_ids); ++kind)
        sinks_[kind] = *sink_ids[kind]
                           ? static_cast<parley_event_sink_v1 const*>(ask(sink_ids[kind]))
                           : nullptr;
    return status;
}

void Stage::destroy() {
    if (!self_ && !is_alive_) return;
    enter([&] { entry_->destroy(self_); });
    std::lock_guard lock(mutex_);
    self_ = nullptr;
    is_alive_ = false;
    operations_.clear();
    events_.clear();
    durable_.clear();
    for (auto& [id, call] : calls_) call.ended = true;
}

void const* Stage::ask(char const* id) {
    void const* out = nullptr;
    enter([&] { out = entry_->get_interface(self_, id); });
    return out;
}

// Whoever does not come back keeps everybody: it is said, and that is the end.
void Stage::enter(std::function<void()> const& work) {
    std::mutex mutex;
    std::condition_variable left;
    bool is_back = false;
    auto watch = [&] {
        std::unique_lock lock(mutex);
        if (left.wait_for(lock, stuck_time, [&] { return is_back; })) return;
        finding("!", "it did not return to the host within 5 s");
        _exit(0);
    };
    try {
        std::thread watcher(watch);
        if (manner.moves_threads)
            std::thread(work).join();
        else
            work();
        {
            std::lock_guard lock(mutex);
            is_back = true;
        }
        left.notify_all();
        watcher.join();
    } catch (std::system_error const&) {
        finding("!", "it left no room for one more thread");
        _exit(0);
    }
}

parley_start_fn Stage::function(std::uint32_t number) const {
    auto kind = number >> 8, index = number & 0xff;
    if (kind >= std::size(roles_) || !roles_[kind]) return nullptr;
    auto const* bytes = static_cast<char const*>(roles_[kind]);
    std::uint32_t size;
    std::memcpy(&size, bytes, sizeof size);
    auto offset = 8 + index * sizeof(parley_start_fn);
    if (offset + sizeof(parley_start_fn) > size) return nullptr;
    parley_start_fn out;
    std::memcpy(&out, bytes + offset, sizeof out);
    return out;
}

// ---- Calls --------------------------------------------------------------------------------------

parley_id Stage::start(Request const& request, std::uint32_t timeout_ms) {
    auto run = function(request.verb);
    if (!run) return 0;
    parley_id id;
    {
        std::lock_guard lock(mutex_);
        id = next_call_ += 2;
        calls_[id].verb = request.verb;
        calls_[id].credit = PARLEY_CREDIT;
        tell(PARLEY_F_CALL, id, {bytes_of(request.verb)});
        if (manner.forgets) calls_[id].ended = true;
    }
    parley_status status = PARLEY_E_INTERNAL;
    double seconds = 0;
    enter([&] {
        Borrowed bytes(request.bytes, manner.bytes);
        auto before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        {
            Hunger hunger(manner.starves);
            status = run(self_, id, timeout_ms, bytes.data(), bytes.size());
        }
        seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
    });
    auto words = "a verb took " + std::to_string(static_cast<int>(seconds * 1000)) +
                 " ms of processor time before it returned";
    if (seconds > start_seconds_fail)
        finding("start-returns-fast", words);
    else if (seconds > start_seconds_warn)
        remark("start-returns-fast", words);
    if (status == PARLEY_PENDING) return id;
    std::lock_guard lock(mutex_);
    auto& call = calls_[id];
    if (status >= 0)
        finding("refused-is-ended", "a verb answered " + std::to_string(status) +
                                        "; only PARLEY_PENDING or an error makes sense");
    if (call.ended && !manner.forgets)
        finding("refused-is-ended", "a call was completed, and its verb answered with an error");
    call.refused = true;
    if (!call.ended) end(call, id, status < 0 ? status : PARLEY_E_INTERNAL);
    return id;
}

void Stage::cancel(parley_id call) {
    if (!PARLEY_HAS(entry_, cancel)) return;
    enter([&] {
        Hunger hunger(manner.starves);
        entry_->cancel(self_, call);
    });
}

// With mutex_ held.
void Stage::end(Call& call, parley_id id, parley_status status) {
    call.ended = true;
    call.status = status;
    ++activity_;
    if (!manner.forgets)
        std::erase_if(operations_, [id](auto const& one) { return one.second.call == id; });
    changed_.notify_all();
}

bool Stage::is_open(parley_id id) {
    std::lock_guard lock(mutex_);
    auto found = calls_.find(id);
    return found != calls_.end() && !found->second.ended;
}

bool Stage::succeeded(parley_id id) {
    std::lock_guard lock(mutex_);
    auto found = calls_.find(id);
    return found != calls_.end() && found->second.ended && found->second.status == PARLEY_OK;
}

std::string Stage::transcript(parley_id id) {
    std::lock_guard lock(mutex_);
    auto const& call = calls_[id];
    return std::to_string(call.status) + "\n" + call.said;
}

void Stage::pump(parley_id call, std::size_t most) {
    constexpr auto quiet = std::chrono::milliseconds(100);  // for threads of its own
    for (std::size_t done = 0; done < most && is_open(call);) {
        if (step()) {
            ++done;
            continue;
        }
        std::unique_lock lock(mutex_);
        auto before = activity_;
        if (!changed_.wait_for(lock, quiet, [&] { return activity_ != before; })) return;
    }
}

bool Stage::wait_for_end(parley_id id, unsigned milliseconds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                             [&] { return calls_[id].ended; });
}

// ---- Events -------------------------------------------------------------------------------------

bool Stage::step() {
    if (resume()) return true;
    Event event;
    {
        std::lock_guard lock(mutex_);
        if (!events_.empty()) {
            event = std::move(events_.front());
            events_.pop_front();
        }
    }
    if (event.operation) return deliver(event), true;
    return acknowledge() || fire();
}

// What was emitted is durable now, as far as this host goes.
bool Stage::acknowledge() {
    std::pair<parley_id, std::string> one;
    {
        std::lock_guard lock(mutex_);
        while (!durable_.empty() && calls_[durable_.front().first].ended) durable_.pop_front();
        if (durable_.empty()) return false;
        one = std::move(durable_.front());
        durable_.pop_front();
    }
    auto const* sink = static_cast<parley_ack_sink_v1 const*>(ask(PARLEY_SINK_ACK));
    if (!sink || !PARLEY_HAS(sink, on_ack)) return true;
    enter([&] {
        Borrowed cursor(one.second, manner.bytes);
        Hunger hunger(manner.starves);
        sink->on_ack(self_, one.first, cursor.data(), cursor.size());
    });
    return true;
}

std::size_t Stage::unanswered(parley_id call) {
    std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (auto const& [id, operation] : operations_)
        if (operation.call == call) count += operation.requests.size();
    return count;
}

// Whoever was told to pause may go on: the reader has caught up.
bool Stage::resume() {
    parley_id id = 0;
    {
        std::lock_guard lock(mutex_);
        for (auto& [number, call] : calls_) {
            if (!call.paused || call.ended) continue;
            id = number;
            call.paused = false;
            call.beyond = 0;
            call.credit = PARLEY_CREDIT;
            break;
        }
    }
    if (!id) return false;
    auto const* sink = static_cast<parley_flow_sink_v1 const*>(ask(PARLEY_SINK_FLOW));
    if (sink && PARLEY_HAS(sink, on_resume)) enter([&] { sink->on_resume(self_, id); });
    return true;
}

bool Stage::fire() {
    Event event;
    {
        std::lock_guard lock(mutex_);
        parley_id first = 0;
        for (auto const& [id, operation] : operations_)
            if (operation.service == PARLEY_S_TIMER &&
                (!first || operation.due < operations_[first].due))
                first = id;
        if (!first) return false;
        now_ = std::max(now_, operations_[first].due);
        event = {first, PARLEY_TIMER_FIRED, {}, true};
    }
    return deliver(event), true;
}

bool Stage::deliver(Event const& event) {
    Operation operation;
    {
        std::lock_guard lock(mutex_);
        auto found = operations_.find(event.operation);
        if (found == operations_.end()) return false;
        if (event.request) found->second.requests.insert(event.request);
        operation = found->second;
        if (event.is_last) operations_.erase(found);
    }
    auto const* sink = sinks_[operation.service];
    if (!sink || !PARLEY_HAS(sink, on_event)) return false;
    enter([&] {
        Borrowed bytes(event.bytes, manner.bytes);
        Hunger hunger(manner.starves);
        sink->on_event(self_, operation.call, event.operation, event.kind, bytes.data(),
                       bytes.size());
    });
    return true;
}

// ---- What services answer. All with mutex_ held. ------------------------------------------------

parley_status Stage::request(parley_id id, std::uint32_t service, parley_id* operation) {
    auto found = calls_.find(id);
    *operation = 0;
    if (found == calls_.end()) {
        if (id == 0 || next_call_ == 0)
            finding("wrong-state", "it asks a service outside every call");
        else
            note_id(id, "asks a service for");
        return PARLEY_E_STALE;
    }
    ++activity_;
    if (found->second.ended) return PARLEY_E_STALE;
    if (contains({script_.check}, "approval-gate"))
        finding("approval-gate", "preview asks a service, which has no rights yet");
    if (++requests_made_ == manner.refuses) return PARLEY_E_LIMIT;
    if (operations_.size() >= operations_most) return PARLEY_E_LIMIT;
    *operation = next_operation_;
    next_operation_ += 2;
    operations_[*operation] = {id, service, 0};
    changed_.notify_all();
    return PARLEY_OK;
}

void Stage::queue(parley_id operation, std::uint32_t kind, std::string bytes, bool is_last) {
    events_.push_back({operation, kind, std::move(bytes), is_last});
    ++activity_;
    changed_.notify_all();
}

void Stage::answer_http(parley_id id, std::string_view request) {
    using World = Manner::World;
    if (manner.world == World::silent) return;
    if (manner.world == World::failing)
        return queue(
            id, PARLEY_HTTP_FAILED,
            R"({"code":"peer","message":"connection refused","retryable":true,"sent":false})",
            true);
    bool is_garbled = manner.world == World::garbled;
    bool has_events = request.find(R"("sse")") != request.npos;
    bool to_blob = request.find(R"("to_blob":true)") != request.npos;
    queue(id, PARLEY_HTTP_HEAD,
          is_garbled   ? R"({"status":500,"headers":[["content-type","text/html"]]})"
          : has_events ? R"({"status":200,"headers":[["content-type","text/event-stream"]]})"
                       : R"({"status":200,"headers":[["content-type","application/json"]]})",
          false);
    if (manner.world == World::stalling) return;
    if (to_blob && !is_garbled)
        return queue(id, PARLEY_HTTP_DONE,
                     R"({"blob":"b-)" + std::string(64, '0') + R"(","bytes":19})", true);
    if (has_events && !is_garbled) {
        queue(id, PARLEY_HTTP_EVENT, R"({"event":"message","data":"{}","id":""})", false);
        queue(id, PARLEY_HTTP_EVENT, R"({"event":"message","data":"[DONE]","id":""})", false);
    } else {
        queue(id, PARLEY_HTTP_DATA, is_garbled ? "<html>\xff\xfe{\"a\":" : "{}", false);
    }
    queue(id, PARLEY_HTTP_DONE, "", true);
}

void Stage::answer_stream(parley_id id) {
    using World = Manner::World;
    if (manner.world == World::silent) return;
    if (manner.world == World::failing)
        return queue(id, PARLEY_STREAM_CLOSED, R"({"code":"peer","message":"connection refused"})",
                     true);
    queue(id, PARLEY_STREAM_OPENED, R"({"peer":"192.0.2.1:6697","tls":true})", false);
    if (manner.world == World::stalling) return;
    queue(id, PARLEY_STREAM_DATA, "hello\r\n", false);
    if (manner.world != World::garbled) return;
    queue(id, PARLEY_STREAM_DATA, std::string("\xff\xfe\0:\r\n\r\n:::: \r", 14), false);
    queue(id, PARLEY_STREAM_CLOSED, "{}", true);
}

// After a put and a get.
void Stage::answer_blob(parley_id operation, std::string const& id) {
    auto size = std::to_string(blobs_.contains(id) ? blobs_[id].size() : 19);
    queue(operation, PARLEY_BLOB_DONE,
          manner.world == Manner::World::garbled
              ? "\xff{\"blob\":7"
              : R"({"blob":")" + id + R"(","bytes":)" + size + "}",
          true);
}

void Stage::answer_ws(parley_id id) {
    using World = Manner::World;
    if (manner.world == World::silent) return;
    if (manner.world == World::failing)
        return queue(
            id, PARLEY_WS_FAILED,
            R"({"code":"peer","message":"the server answered 401 to the upgrade","retryable":false,"sent":true,"status":401})",
            true);
    queue(id, PARLEY_WS_OPENED, R"({"peer":"192.0.2.1:443","subprotocol":""})", false);
    if (manner.world == World::stalling) return;
    queue(id, PARLEY_WS_TEXT, R"({"type":"hello"})", false);
    if (manner.world != World::garbled) return;
    queue(id, PARLEY_WS_TEXT, R"([{"type":7},"\ud800",)", false);
    queue(id, PARLEY_WS_BINARY, std::string("\xff\xfe\0{", 4), false);
    queue(id, PARLEY_WS_TEXT, "", false);
    queue(id, PARLEY_WS_CLOSED, R"({"code":1005,"reason":""})", true);
}

void Stage::answer_inbound(parley_id id) {
    using World = Manner::World;
    auto world = manner.world;
    if (world == World::silent || world == World::stalling) return;
    if (world == World::failing)
        return queue(id, PARLEY_INBOUND_CLOSED,
                     R"({"code":"denied","message":"webhooks are off for this instance"})", true);
    auto send = [&](std::string_view body) {
        auto number = ++last_webhook_;
        std::string bytes = R"({"request":)" + std::to_string(number) + R"(,"headers":[],"body":)";
        events_.push_back(
            {id, PARLEY_INBOUND_REQUEST, bytes.append(body).append("}"), false, number});
        ++activity_;
        changed_.notify_all();
    };
    if (world == World::garbled) return send(R"("<html>{\"a\":\u0000")");
    for (auto const& body : script_.webhooks) send(body);
}

// ---- What is told -------------------------------------------------------------------------------

void Stage::note_id(parley_id call, char const* what) {
    finding("stale-id",
            std::string("it ") + what + " a call that it was never given: " + std::to_string(call));
}

void Stage::tell(std::uint16_t type, parley_id id, std::initializer_list<std::string_view> body) {
    for (auto piece : body) told_bytes_ += piece.size();
    if (told_bytes_ > told_most) return;
    link_.send(type, id, body);
}

void Stage::finding(std::string_view rule, std::string const& text) {
    link_.send(PARLEY_F_FINDING, 0, {rule, " ", text});
}

void Stage::remark(std::string_view rule, std::string const& text) {
    link_.send(PARLEY_F_REMARK, 0, {rule, " ", text});
}

}  // namespace parley::worker
