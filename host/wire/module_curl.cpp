// The only file that knows libcurl, built as a module of its own: it turns the table's jobs into
// transfers and decides nothing. Which address may be reached is asked before each connect and
// again before each request, since a kept connection is not connected anew.
#include "wire/curl_table.h"

#include <curl/curl.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

struct Transfer {
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    parley_curl_host const* host = nullptr;
    void* fetch = nullptr;
    std::string body;
    bool may_repeat = false;  // GET and the like
    bool denied = false, tried = false, asked_to_abort = false;
    bool lost = false;     // a kept connection died, and the request may not be sent again
    bool sending = false;  // from here on bytes of the request may have left
    char why[CURL_ERROR_SIZE] = "";

    ~Transfer() {
        if (easy) curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
    }
};

constexpr std::size_t spare_handles = 16;

struct Engine {
    parley_curl_host host;
    CURLM* multi = nullptr;
    std::unordered_set<Transfer*> transfers;
    std::vector<CURL*> spare;  // reset, since making a handle costs more than resetting one

    // The transfer has left the multi handle.
    void discard(Transfer* transfer) {
        transfers.erase(transfer);
        if (spare.size() < spare_handles) {
            curl_easy_reset(transfer->easy);
            spare.push_back(std::exchange(transfer->easy, nullptr));
        }
        delete transfer;
    }
};

curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(self);
    char text[INET6_ADDRSTRLEN] = "";
    std::uint16_t port = 0;
    if (address->family == AF_INET) {
        auto const* four = reinterpret_cast<sockaddr_in const*>(&address->addr);
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        port = ntohs(four->sin_port);
    } else if (address->family == AF_INET6) {
        auto const* six = reinterpret_cast<sockaddr_in6 const*>(&address->addr);
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        port = ntohs(six->sin6_port);
    } else {
        return CURL_SOCKET_BAD;
    }
    if (!transfer.host->may_connect(transfer.fetch, text, port)) {
        transfer.denied = true;
        return CURL_SOCKET_BAD;
    }
    transfer.tried = true;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int before_request(void* self, char* address, char*, int port, int) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (!transfer.host->may_connect(transfer.fetch, address, static_cast<std::uint16_t>(port))) {
        transfer.denied = true;
        return CURL_PREREQFUNC_ABORT;
    }
    // libcurl would quietly send a request again when a kept connection dies under it. What acts
    // must not act twice.
    if (transfer.sending && !transfer.may_repeat) {
        transfer.lost = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer.sending = true;
    return CURL_PREREQFUNC_OK;
}

std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.host->on_header(transfer.fetch, bytes, size)) return size;
    transfer.asked_to_abort = true;
    return 0;
}

std::size_t on_data(char* bytes, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    switch (transfer.host->on_data(transfer.fetch, bytes, size)) {
        case PARLEY_CURL_TAKEN:
            return size;
        case PARLEY_CURL_PAUSE:
            return CURL_WRITEFUNC_PAUSE;
        default:
            transfer.asked_to_abort = true;
            return 0;
    }
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
    curl_easy_setopt(easy, option, value);
}

void set_method(Transfer& transfer, parley_curl_job const& job) {
    auto* easy = transfer.easy;
    std::string_view method = job.method;
    transfer.may_repeat = method == "GET" || method == "HEAD" || method == "OPTIONS";
    if (method == "HEAD") return set(easy, CURLOPT_NOBODY, 1L);
    auto has_body = job.body_size > 0 || method == "POST" || method == "PUT" || method == "PATCH";
    if (has_body) {
        transfer.body.assign(job.body, job.body_size);
        set(easy, CURLOPT_POST, 1L);
        set(easy, CURLOPT_POSTFIELDS, transfer.body.data());
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.body.size()));
    } else {
        set(easy, CURLOPT_HTTPGET, 1L);
    }
    if (method != (has_body ? "POST" : "GET")) set(easy, CURLOPT_CUSTOMREQUEST, job.method);
}

bool add_header(Transfer& transfer, std::string const& line) {
    auto* longer = curl_slist_append(transfer.headers, line.c_str());
    if (longer) transfer.headers = longer;
    return longer;
}

bool set_headers(Transfer& transfer, parley_curl_job const& job) {
    // Nothing that the caller did not ask for, and no wait for 100 Continue.
    auto good = add_header(transfer, "Expect:");
    auto names_type = false;
    for (std::size_t i = 0; i < job.header_count; ++i) {
        std::string line = job.headers[i];
        names_type = names_type || curl_strnequal(line.c_str(), "content-type:", 13);
        // "Name;" is libcurl's spelling of an empty value.
        if (line.ends_with(": ")) line.replace(line.size() - 2, 2, ";");
        good = good && add_header(transfer, line);
    }
    if (!names_type) good = good && add_header(transfer, "Content-Type:");
    set(transfer.easy, CURLOPT_HTTPHEADER, transfer.headers);
    return good;
}

void set_safety(CURL* easy, parley_curl_job const& job) {
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    // An empty string, unlike none, also keeps the environment's proxies out.
    set(easy, CURLOPT_PROXY, job.proxy);
    set(easy, CURLOPT_NOPROXY, "");
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (*job.ca_file) set(easy, CURLOPT_CAINFO, job.ca_file);
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    // A name server that does not answer must not hold up the thread when a fetch is stopped.
    set(easy, CURLOPT_QUICK_EXIT, 1L);
    set(easy, CURLOPT_TIMEOUT_MS, job.timeout_ms);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, job.connect_timeout_ms);
    set(easy, CURLOPT_MAXAGE_CONN, job.idle_seconds);
}

bool prepare(Transfer& transfer, parley_curl_job const& job) {
    auto* easy = transfer.easy;
    if (!easy || curl_easy_setopt(easy, CURLOPT_URL, job.url) != CURLE_OK) return false;
    set_safety(easy, job);
    set_method(transfer, job);
    set(easy, CURLOPT_PRIVATE, &transfer);
    set(easy, CURLOPT_ERRORBUFFER, transfer.why);
    set(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(easy, CURLOPT_OPENSOCKETDATA, &transfer);
    set(easy, CURLOPT_PREREQFUNCTION, before_request);
    set(easy, CURLOPT_PREREQDATA, &transfer);
    set(easy, CURLOPT_HEADERFUNCTION, on_header);
    set(easy, CURLOPT_HEADERDATA, &transfer);
    set(easy, CURLOPT_WRITEFUNCTION, on_data);
    set(easy, CURLOPT_WRITEDATA, &transfer);
    return set_headers(transfer, job);
}

parley_curl_end end_of(Transfer const& transfer, CURLcode code) {
    if (code == CURLE_OK) return PARLEY_CURL_OK;
    if (transfer.denied && !transfer.sending &&
        (code == CURLE_ABORTED_BY_CALLBACK || !transfer.tried))
        return PARLEY_CURL_DENIED;
    if (code == CURLE_OPERATION_TIMEDOUT) return PARLEY_CURL_TIMEOUT;
    return transfer.asked_to_abort ? PARLEY_CURL_ABORTED : PARLEY_CURL_FAILED;
}

void tell_end(Transfer& transfer, CURLcode code) {
    auto const* why = transfer.lost     ? "the connection was lost while the request was sent"
                      : transfer.why[0] ? transfer.why
                                        : curl_easy_strerror(code);
    transfer.host->on_end(transfer.fetch, end_of(transfer, code), transfer.sending, why);
}

void reap(Engine& engine) {
    std::vector<std::pair<Transfer*, CURLcode>> done;
    int left = 0;
    while (auto* message = curl_multi_info_read(engine.multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        Transfer* transfer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        done.emplace_back(transfer, message->data.result);
    }
    for (auto [transfer, code] : done) {
        curl_multi_remove_handle(engine.multi, transfer->easy);
        tell_end(*transfer, code);
        engine.discard(transfer);
    }
}

int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
    auto& host = static_cast<Engine*>(self)->host;
    auto events = what == CURL_POLL_REMOVE ? 0
                  : what == CURL_POLL_IN   ? PARLEY_CURL_READ
                  : what == CURL_POLL_OUT  ? PARLEY_CURL_WRITE
                                           : PARLEY_CURL_READ | PARLEY_CURL_WRITE;
    host.watch(host.self, socket, events);
    return 0;
}

int on_timer(CURLM*, long ms, void* self) {
    auto& host = static_cast<Engine*>(self)->host;
    host.timer(host.self, ms);
    return 0;
}

bool start_libcurl() {
    static auto const code = curl_global_init(CURL_GLOBAL_DEFAULT);
    return code == CURLE_OK;
}

void* open_engine(parley_curl_host const* host, parley_curl_limits const* limits) {
    if (!start_libcurl()) return nullptr;
    auto* engine = new Engine{*host, curl_multi_init(), {}, {}};
    auto* multi = engine->multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, engine);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, engine);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, limits->idle_connections);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limits->connections);
    return engine;
}

void close_engine(void* self) {
    auto* engine = static_cast<Engine*>(self);
    for (auto* transfer : engine->transfers) {
        curl_multi_remove_handle(engine->multi, transfer->easy);
        delete transfer;
    }
    for (auto* easy : engine->spare) curl_easy_cleanup(easy);
    curl_multi_cleanup(engine->multi);
    delete engine;
}

void* add(void* self, parley_curl_job const* job, void* fetch) {
    auto& engine = *static_cast<Engine*>(self);
    auto* transfer = new Transfer;
    transfer->host = &engine.host;
    transfer->fetch = fetch;
    transfer->easy = engine.spare.empty() ? curl_easy_init() : engine.spare.back();
    if (!engine.spare.empty()) engine.spare.pop_back();
    if (!prepare(*transfer, *job) ||
        curl_multi_add_handle(engine.multi, transfer->easy) != CURLM_OK) {
        delete transfer;
        return nullptr;
    }
    engine.transfers.insert(transfer);
    return transfer;
}

void remove(void* self, void* which) {
    auto& engine = *static_cast<Engine*>(self);
    auto* transfer = static_cast<Transfer*>(which);
    curl_multi_remove_handle(engine.multi, transfer->easy);
    engine.discard(transfer);
}

void resume(void* self, void* which) {
    curl_easy_pause(static_cast<Transfer*>(which)->easy, CURLPAUSE_CONT);
    reap(*static_cast<Engine*>(self));
}

void ready(void* self, int socket, int events) {
    auto& engine = *static_cast<Engine*>(self);
    int running = 0;
    auto mask = (events & PARLEY_CURL_READ ? CURL_CSELECT_IN : 0) |
                (events & PARLEY_CURL_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(engine.multi, socket, mask, &running);
    reap(engine);
}

void tick(void* self) {
    auto& engine = *static_cast<Engine*>(self);
    int running = 0;
    curl_multi_socket_action(engine.multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(engine);
}

void perform(parley_curl_host const* host, parley_curl_job const* job, void* fetch) {
    Transfer transfer;
    transfer.host = host;
    transfer.fetch = fetch;
    if (start_libcurl()) transfer.easy = curl_easy_init();
    if (!prepare(transfer, *job)) return tell_end(transfer, CURLE_FAILED_INIT);
    tell_end(transfer, curl_easy_perform(transfer.easy));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) parley_curl_table const* parley_curl_v1(void) {
    static constexpr parley_curl_table table{
        PARLEY_CURL_TABLE, open_engine, close_engine, add, remove, resume, ready, tick, perform};
    return &table;
}
