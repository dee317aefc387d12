#include "wire/client.hpp"

#include "wire/curl_module.hpp"
#include "wire/fetch.hpp"
#include "wire/response_text.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <unordered_map>

namespace parley {
namespace {

namespace asio = boost::asio;

}  // namespace

// libcurl's sockets and clock, driven by the loop. The sink may call the client from inside, and
// libcurl may not be entered twice: so whatever the client is asked is posted.
class HttpClient::Engine : public std::enable_shared_from_this<Engine> {
public:
    explicit Engine(Loop& loop) : loop_(loop), timer_(loop.context()) {}

    void begin(Handle const& fetch);
    void shut();

    void later(std::function<void(Engine&)> work) {
        loop_.post([weak = weak_from_this(), work = std::move(work)] {
            if (auto engine = weak.lock(); engine && !engine->shut_) work(*engine);
        });
    }
    template <class Work>
    void drive(Work work) {
        auto keep = shared_from_this();
        if (shut_) return;
        driving_ = true;
        work();
        driving_ = false;
        while (!ended_.empty() && !shut_) {
            auto ended = std::move(ended_.front());
            ended_.erase(ended_.begin());
            ended.fetch->end(std::move(ended.outcome), ended.sent);
        }
        if (shut_) close();
    }
    void drop(Handle const& fetch) {
        if (!fetch->transfer) return;
        auto* transfer = std::exchange(fetch->transfer, nullptr);
        flying_.erase(fetch.get());
        drive([&] { table_->remove(curl_, transfer); });
    }
    void resume(Handle const& fetch) {
        if (fetch->transfer && !fetch->paused)
            drive([&] { table_->resume(curl_, fetch->transfer); });
    }

private:
    struct Watch {
        Watch(asio::io_context& context, int socket) : descriptor(context, socket) {}
        asio::posix::stream_descriptor descriptor;
        int events = 0, waiting = 0;
    };
    struct Ended {
        Handle fetch;
        Result<> outcome;
        bool sent;
    };

    Result<> open();
    void close();
    Result<> add(Handle const& fetch);
    void watch(int socket, int events);
    void wait(int socket, std::shared_ptr<Watch> const& watch, int event);
    void set_timer(long ms);
    void on_end(Fetch* fetch, parley_curl_end how, bool sent, std::string why);

    Loop& loop_;
    asio::steady_timer timer_;
    std::uint64_t timer_turn_ = 0;  // of the last word about it; older ones are void
    parley_curl_table const* table_ = nullptr;
    void* curl_ = nullptr;
    std::string ca_file_;
    bool driving_ = false, shut_ = false;
    std::unordered_map<int, std::shared_ptr<Watch>> watches_;  // shared with their pending waits
    std::unordered_map<Fetch*, Handle> flying_;
    std::vector<Ended> ended_;
};

Result<> HttpClient::Engine::open() {
    if (curl_) return ok();
    TRY(table, curl_table());
    ca_file_ = ca_file_from_environment();
    parley_curl_host host{};
    host.self = this;
    host.watch = [](void* self, int socket, int events) {
        static_cast<Engine*>(self)->watch(socket, events);
    };
    host.timer = [](void* self, long ms) { static_cast<Engine*>(self)->set_timer(ms); };
    host.may_connect = [](void* fetch, char const* address, std::uint16_t port) -> int {
        auto const& check = static_cast<Fetch*>(fetch)->may_connect;
        return check && check(address, port);
    };
    host.on_header = [](void* fetch, char const* line, std::size_t size) -> int {
        return static_cast<Fetch*>(fetch)->take_header({line, size});
    };
    host.on_data = [](void* fetch, char const* bytes, std::size_t size) {
        return static_cast<Fetch*>(fetch)->take_data({bytes, size});
    };
    host.on_end = [](void* raw, parley_curl_end how, int sent, char const* why) {
        auto* fetch = static_cast<Fetch*>(raw);
        fetch->request.body = {};
        auto* engine = static_cast<Engine*>(fetch->engine);
        engine->on_end(fetch, how, sent != 0, why);
    };
    parley_curl_limits most{static_cast<long>(limits::egress_idle_connections),
                            static_cast<long>(limits::egress_connections)};
    curl_ = table->open(&host, &most);
    if (!curl_) return Error(Fault::unavailable, "the HTTP client does not start");
    table_ = table;
    return ok();
}

void HttpClient::Engine::begin(Handle const& fetch) {
    if (fetch->stopped) return;
    auto added = add(fetch);
    if (!added) fetch->end(std::move(added), false);
}

Result<> HttpClient::Engine::add(Handle const& fetch) {
    auto& request = fetch->request;
    MUST(check_request(request));
    TRY(url, parse_url(request.url));
    MUST(open());
    // What libcurl reads is what we have read.
    auto text = url.origin() + url.path_and_query;
    std::vector<std::string> lines;
    std::vector<char const*> pointers;
    auto has_agent = false;
    for (auto const& [name, value] : request.headers) {
        has_agent = has_agent || same_header(name, "user-agent");
        lines.push_back(name + ": " + value);
    }
    if (!has_agent) lines.emplace_back("User-Agent: AgentParley/" PARLEY_VERSION);
    for (auto const& line : lines) pointers.push_back(line.c_str());

    parley_curl_job job{};
    job.method = request.method.c_str();
    job.url = text.c_str();
    job.headers = pointers.data();
    job.header_count = pointers.size();
    job.body = request.body.data();
    job.body_size = request.body.size();
    job.proxy = request.proxy.c_str();
    job.ca_file = ca_file_.c_str();
    job.timeout_ms = std::max(1L, static_cast<long>(request.timeout.count()));
    job.connect_timeout_ms = std::chrono::milliseconds(limits::egress_connect_time).count();
    job.idle_seconds = std::chrono::seconds(limits::egress_idle_time).count();
    fetch->engine = this;
    drive([&] { fetch->transfer = table_->add(curl_, &job, fetch.get()); });
    if (!fetch->transfer) return Error(Fault::internal, "libcurl refuses the request");
    flying_.emplace(fetch.get(), fetch);
    request.body = {};
    return ok();
}

void HttpClient::Engine::on_end(Fetch* fetch, parley_curl_end how, bool sent, std::string why) {
    auto found = flying_.find(fetch);
    if (found == flying_.end()) return;
    auto handle = std::move(found->second);
    flying_.erase(found);
    handle->transfer = nullptr;
    auto outcome = [&]() -> Result<> {
        switch (how) {
            case PARLEY_CURL_OK:
                return ok();
            case PARLEY_CURL_DENIED:
                return Error(Fault::denied, "no address of this host may be connected to");
            case PARLEY_CURL_TIMEOUT:
                return Error(Fault::timed_out, std::move(why));
            case PARLEY_CURL_ABORTED:
                return Error(Fault::peer_failed, handle->own_reason);
            default:
                return Error(Fault::peer_failed, std::move(why));
        }
    }();
    ended_.push_back({std::move(handle), std::move(outcome), sent});
}

void HttpClient::Engine::watch(int socket, int events) {
    if (shut_ && !driving_) return;
    auto found = watches_.find(socket);
    if (events == 0) {
        if (found == watches_.end()) return;
        found->second->events = 0;
        found->second->descriptor.release();
        watches_.erase(found);
        return;
    }
    if (found == watches_.end())
        found = watches_.emplace(socket, std::make_shared<Watch>(loop_.context(), socket)).first;
    auto watch = found->second;
    watch->events = events;
    wait(socket, watch, PARLEY_CURL_READ);
    wait(socket, watch, PARLEY_CURL_WRITE);
}

void HttpClient::Engine::wait(int socket, std::shared_ptr<Watch> const& watch, int event) {
    if (!(watch->events & event) || (watch->waiting & event)) return;
    watch->waiting |= event;
    auto what = event == PARLEY_CURL_READ ? asio::posix::stream_descriptor::wait_read
                                          : asio::posix::stream_descriptor::wait_write;
    watch->descriptor.async_wait(what, [weak = weak_from_this(), socket, watch, event](auto error) {
        watch->waiting &= ~event;
        auto engine = weak.lock();
        if (error || !engine || !(watch->events & event)) return;
        engine->drive([&] { engine->table_->ready(engine->curl_, socket, event); });
        engine->wait(socket, watch, event);
    });
}

void HttpClient::Engine::set_timer(long ms) {
    timer_.cancel();
    auto turn = ++timer_turn_;
    if (ms < 0 || shut_) return;
    // The commonest wait is none, and needs no timer.
    if (ms == 0)
        return later([turn](Engine& engine) {
            if (turn == engine.timer_turn_)
                engine.drive([&] { engine.table_->tick(engine.curl_); });
        });
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([weak = weak_from_this(), turn](auto error) {
        auto engine = weak.lock();
        if (error || !engine || turn != engine->timer_turn_) return;
        engine->drive([&] { engine->table_->tick(engine->curl_); });
    });
}

void HttpClient::Engine::shut() {
    shut_ = true;
    for (auto const& [raw, fetch] : flying_) {
        fetch->stopped = true;
        fetch->sink = {};
    }
    if (!driving_) close();
}

void HttpClient::Engine::close() {
    timer_.cancel();
    for (auto const& [socket, watch] : watches_) {
        watch->events = 0;
        watch->descriptor.release();
    }
    watches_.clear();
    if (auto* curl = std::exchange(curl_, nullptr)) table_->close(curl);
    flying_.clear();
}

HttpClient::HttpClient(Loop& loop) : engine_(std::make_shared<Engine>(loop)) {}
HttpClient::~HttpClient() {
    engine_->shut();
}

HttpClient::Handle HttpClient::start(FetchRequest request, AddressCheck may_connect,
                                     FetchSink sink) {
    auto fetch = std::make_shared<Fetch>();
    fetch->request = std::move(request);
    fetch->may_connect = std::move(may_connect);
    fetch->sink = std::move(sink);
    engine_->later([fetch](Engine& engine) { engine.begin(fetch); });
    return fetch;
}

void HttpClient::stop(Handle const& fetch) {
    if (!fetch || fetch->stopped || fetch->ended) return;
    fetch->stopped = true;
    engine_->later([fetch](Engine& engine) {
        engine.drop(fetch);
        fetch->sink = {};
    });
}

void HttpClient::pause(Handle const& fetch, bool paused) {
    if (!fetch || fetch->paused == paused) return;
    fetch->paused = paused;
    if (!paused) engine_->later([fetch](Engine& engine) { engine.resume(fetch); });
}

}  // namespace parley
