#pragma once

// HTTP for our own doors: the API on a TCP port, the same on the control socket. It parses within
// limits, checks nothing about who asks, and knows no route.
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Peer {
    bool local_socket = false;
    // Of the control socket's peer: same user, and not marked NoNewPrivs (such a process is, or
    // descends from, something confined; it must bring a token).
    bool trusted_user = false;
    std::string address;  // of TCP
};

struct Request {
    std::string method, target;  // target as sent; path and query are split by the receiver
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    Peer peer;
    // First value of a header, case-insensitive; nothing when missing. `count` tells duplicates.
    std::optional<std::string_view> header(std::string_view name) const;
    std::size_t header_count(std::string_view name) const;
};

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// A response of server-sent events that stays open. Any use after the peer has gone does nothing.
class EventWriter {
public:
    virtual ~EventWriter() = default;
    // One frame, already in SSE form (ends in a blank line). False once the reader is gone, or was
    // cut off because limits::event_backlog_bytes waited.
    virtual bool write(std::string_view frame) = 0;
    virtual void close() = 0;
    // Told once, later, when the reader goes by itself or is cut off; not after close() or
    // HttpServer::stop().
    virtual void on_gone(std::function<void()> told) = 0;
    // For long answers: bytes that wait for a slow reader, and a word each time that none does
    // any more. Never told from inside write().
    virtual std::size_t waiting_bytes() const { return 0; }
    virtual void on_drained(std::function<void()> told) { (void)told; }
};

// What a handler answers with, exactly one of these, once, then or later. [event thread]
class Reply {
public:
    virtual ~Reply() = default;
    virtual void send(Response response) = 0;
    virtual std::shared_ptr<EventWriter> send_events() = 0;  // 200, text/event-stream
    // A streamed body of unknown length (export); same rules as EventWriter, without framing.
    virtual std::shared_ptr<EventWriter> send_stream(std::string content_type) = 0;
};

// The limits of one server; tests shorten them.
struct ServerLimits {
    std::chrono::milliseconds header_time = limits::http_header_time;
    std::chrono::milliseconds body_time = limits::http_body_time;
    std::chrono::milliseconds idle_time =
        limits::http_idle_time;  // also: a reader that takes nothing
    std::chrono::milliseconds heartbeat = limits::event_heartbeat;
    std::size_t connections = limits::http_connections;  // TCP and the socket each on their own
    std::size_t backlog_bytes = limits::event_backlog_bytes;
};

// Why a request is refused; the connection closes after the answer.
struct HttpRefusal {
    int status = 400;
    std::string detail = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
};

// What may follow a request's header, which is known whole: nothing, or a body of at most so many
// bytes that comes within that time.
struct BodyTerms {
    std::optional<HttpRefusal> refusal = {};
    std::size_t bytes_most = limits::http_body_bytes;  // never more than that
    std::chrono::milliseconds time{0};                 // 0: the server's
};

class HttpServer {
public:
    // Asked once for each request, before any of its body is looked at; the body is empty.
    using HeadCheck = std::function<BodyTerms(Request const& head)>;
    using Handler = std::function<void(Request request, std::shared_ptr<Reply> reply)>;

    // `loop` must outlive the server and every Reply. A Reply that is dropped unanswered answers
    // 500 by itself.
    HttpServer(Loop& loop, Handler handler, ServerLimits limits = {});
    ~HttpServer();

    // Before the first listener; without it every body is read.
    void check_heads_with(HeadCheck check);
    // Fault::unavailable when the address is taken. Port 0 picks one; port() tells which.
    Result<> listen_tcp(std::string const& host, std::uint16_t port);
    // 0600; a stale socket of a dead host is replaced.
    Result<> listen_unix(std::filesystem::path const& path);
    std::uint16_t port() const;
    void stop();  // closes listeners and connections

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace parley
