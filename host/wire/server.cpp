#include "wire/server.hpp"

#include "wire/connection.hpp"
#include "wire/peer.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace parley {

std::optional<std::string_view> Request::header(std::string_view name) const {
    for (auto const& [key, value] : headers)
        if (same_header(key, name)) return value;
    return std::nullopt;
}

std::size_t Request::header_count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(headers.begin(), headers.end(),
                      [&](auto const& header) { return same_header(header.first, name); }));
}

namespace wire {
namespace {

using tcp = asio::ip::tcp;
using local = asio::local::stream_protocol;
using boost::system::error_code;

class LinkWriter final : public EventWriter {
public:
    explicit LinkWriter(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    ~LinkWriter() override { close(); }
    bool write(std::string_view frame) override { return link_ && link_->stream(frame); }
    void close() override {
        if (auto link = std::move(link_)) link->end_stream();
        link_.reset();
    }
    void on_gone(std::function<void()> told) override {
        if (link_) link_->on_gone(std::move(told));
    }
    std::size_t waiting_bytes() const override { return link_ ? link_->waiting_bytes() : 0; }
    void on_drained(std::function<void()> told) override {
        if (link_) link_->on_drained(std::move(told));
    }

private:
    std::shared_ptr<Link> link_;  // shared with the connection's own pending work
};

class LinkReply final : public Reply {
public:
    explicit LinkReply(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    ~LinkReply() override {
        if (link_) send(problem(500, "The request was dropped."));
    }
    void send(Response response) override {
        if (auto link = std::move(link_)) link->answer(std::move(response));
        link_.reset();
    }
    std::shared_ptr<EventWriter> send_events() override { return open("text/event-stream", true); }
    std::shared_ptr<EventWriter> send_stream(std::string content_type) override {
        return open(std::move(content_type), false);
    }

private:
    std::shared_ptr<EventWriter> open(std::string content_type, bool events) {
        auto link = std::move(link_);
        link_.reset();
        if (link) link->open_stream(std::move(content_type), events);
        return std::make_shared<LinkWriter>(std::move(link));
    }
    std::shared_ptr<Link> link_;
};

Peer peer_of(tcp::socket::rebind_executor<asio::io_context::executor_type>::other& socket) {
    Peer peer;
    error_code error;
    auto endpoint = socket.remote_endpoint(error);
    if (!error) peer.address = endpoint.address().to_string();
    socket.set_option(tcp::no_delay(true), error);
    return peer;
}

Peer peer_of(local::socket::rebind_executor<asio::io_context::executor_type>::other& socket) {
    Peer peer;
    peer.local_socket = true;
    peer.trusted_user = is_trusted_peer(socket.native_handle());
    return peer;
}

// Takes connections in; what is too many is told so and sent away.
template <class Protocol>
class Listener final : public std::enable_shared_from_this<Listener<Protocol>> {
public:
    using Executor = asio::io_context::executor_type;
    using Acceptor = asio::basic_socket_acceptor<Protocol, Executor>;

    Listener(Loop& loop, std::shared_ptr<Core> core)
        : acceptor(loop.context().get_executor()), loop_(loop), core_(std::move(core)) {}

    void accept() {
        acceptor.async_accept([me = this->shared_from_this()](error_code error, auto socket) {
            if (!me->acceptor.is_open()) return;
            if (!error) me->take(std::move(socket));
            // No descriptors left, most likely: trying again at once would spin.
            else if (error != asio::error::connection_aborted)
                return me->accept_later();
            me->accept();
        });
    }
    void close() {
        error_code ignored;
        acceptor.close(ignored);
        again_.reset();
    }

    Acceptor acceptor;

private:
    using Socket = typename Connection<Protocol>::Socket;

    void take(Socket socket) {
        if (*open_count_ >= core_->limits.connections) {
            auto answer = problem(503, "There are too many connections.");
            auto text = response_head(answer, Framing::length, false, true) + answer.body;
            error_code ignored;
            socket.non_blocking(true, ignored);
            socket.write_some(asio::buffer(text), ignored);
            socket.shutdown(asio::socket_base::shutdown_send, ignored);
            return;
        }
        auto peer = peer_of(socket);
        std::make_shared<Connection<Protocol>>(core_, std::move(socket), std::move(peer),
                                               open_count_)
            ->begin();
    }
    void accept_later() {
        again_ = loop_.after(std::chrono::milliseconds(100), [me = this->weak_from_this()] {
            if (auto alive = me.lock()) alive->accept();
        });
    }

    Loop& loop_;
    std::shared_ptr<Core> core_;
    std::shared_ptr<std::size_t> open_count_ = std::make_shared<std::size_t>(0);
    Loop::Handle again_;
};

Error cannot(std::string const& what, std::string const& why) {
    return Error(Fault::unavailable, what + ": " + why);
}

bool address_of(std::filesystem::path const& path, sockaddr_un& address) {
    address = {};
    address.sun_family = AF_UNIX;
    auto text = path.string();
    if (text.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
    return true;
}

// A socket file that nobody answers behind is removed; anything else there stays.
Result<> clear_stale(std::filesystem::path const& path, sockaddr_un const& address) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return ok();
    if (!S_ISSOCK(found.st_mode)) return cannot(path.string(), "is there and is not a socket");
    auto probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return cannot(path.string(), std::strerror(errno));
    auto answer = ::connect(probe, reinterpret_cast<sockaddr const*>(&address), sizeof address);
    auto why = errno;
    ::close(probe);
    if (answer == 0 || why == EAGAIN) return cannot(path.string(), "another host listens there");
    if (why != ECONNREFUSED) return cannot(path.string(), std::strerror(why));
    if (::unlink(path.c_str()) != 0) return cannot(path.string(), std::strerror(errno));
    return ok();
}

}  // namespace

std::shared_ptr<Reply> make_reply(std::shared_ptr<Link> link) {
    return std::make_shared<LinkReply>(std::move(link));
}

}  // namespace wire

using namespace wire;

struct HttpServer::Inside : std::enable_shared_from_this<Inside> {
    Inside(Loop& loop, Handler handler, ServerLimits limits)
        : loop(loop), core(std::make_shared<Core>(loop.context(), std::move(handler), limits)) {}

    Loop& loop;
    std::shared_ptr<Core> core;
    std::vector<std::shared_ptr<Listener<tcp>>> tcps;
    std::vector<std::shared_ptr<Listener<local>>> locals;
    std::filesystem::path socket_path;
    struct stat socket_file {};
    std::uint16_t port = 0;
    Loop::Handle sweeper;

    void sweep_later() {
        if (sweeper || core->stopped) return;
        auto const& times = core->limits;
        auto shortest =
            std::min({times.header_time, times.body_time, times.idle_time, times.heartbeat});
        auto wait = std::clamp<std::chrono::milliseconds>(
            shortest / 8, std::chrono::milliseconds(5), limits::http_sweep_time);
        sweeper = loop.after(wait, [me = weak_from_this()] {
            if (auto alive = me.lock()) alive->sweep();
        });
    }
    void sweep() {
        std::vector<std::shared_ptr<Link>> links;
        links.reserve(core->links.size());
        for (auto const& [key, weak] : core->links)
            if (auto link = weak.lock()) links.push_back(std::move(link));
        auto at = now();
        for (auto const& link : links) link->sweep(at);
        sweeper.reset();
        if (!core->links.empty()) sweep_later();
    }
    void remove_socket_file() {
        struct stat found {};
        if (socket_path.empty() || ::lstat(socket_path.c_str(), &found) != 0) return;
        if (found.st_dev == socket_file.st_dev && found.st_ino == socket_file.st_ino)
            ::unlink(socket_path.c_str());
    }
};

HttpServer::HttpServer(Loop& loop, Handler handler, ServerLimits limits)
    : inside_(std::make_shared<Inside>(loop, std::move(handler), limits)) {
    inside_->core->on_first_link = [weak = inside_->weak_from_this()] {
        if (auto alive = weak.lock()) alive->sweep_later();
    };
}

HttpServer::~HttpServer() {
    stop();
}

void HttpServer::check_heads_with(HeadCheck check) {
    inside_->core->head_check = std::move(check);
}

Result<> HttpServer::listen_tcp(std::string const& host, std::uint16_t port) {
    auto name = host;
    if (name == "localhost") name = "127.0.0.1";
    if (name.size() > 2 && name.front() == '[' && name.back() == ']')
        name = name.substr(1, name.size() - 2);
    error_code error;
    auto address = asio::ip::make_address(name, error);
    if (error) return Error(Fault::bad_input, "'" + host + "' is not a numeric address");
    auto what = host + ":" + std::to_string(port);
    auto listener = std::make_shared<Listener<tcp>>(inside_->loop, inside_->core);
    auto& acceptor = listener->acceptor;
    tcp::endpoint endpoint(address, port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return cannot(what, error.message());
    inside_->port = acceptor.local_endpoint(error).port();
    inside_->tcps.push_back(listener);
    listener->accept();
    return ok();
}

Result<> HttpServer::listen_unix(std::filesystem::path const& path) {
    sockaddr_un address;
    if (!address_of(path, address)) return cannot(path.string(), "is too long for a socket's path");
    MUST(clear_stale(path, address));
    auto socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return cannot(path.string(), std::strerror(errno));
    // The file gets the socket's own mode, so there is no moment at which others could connect;
    // and nobody connects before listen anyway.
    auto failed = ::fchmod(socket, 0600) != 0 ||
                  ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
                  ::chmod(path.c_str(), 0600) != 0 ||
                  ::lstat(path.c_str(), &inside_->socket_file) != 0 || ::listen(socket, 128) != 0;
    auto listener = std::make_shared<Listener<local>>(inside_->loop, inside_->core);
    error_code error(failed ? errno : 0, boost::system::system_category());
    if (!failed) listener->acceptor.assign(local(), socket, error);
    if (error) {
        ::close(socket);
        return cannot(path.string(), error.message());
    }
    inside_->socket_path = path;
    inside_->locals.push_back(listener);
    listener->accept();
    return ok();
}

std::uint16_t HttpServer::port() const {
    return inside_->port;
}

void HttpServer::stop() {
    auto& core = *inside_->core;
    if (core.stopped) return;
    core.stopped = true;
    inside_->sweeper.reset();
    for (auto const& listener : inside_->tcps) listener->close();
    for (auto const& listener : inside_->locals) listener->close();
    inside_->remove_socket_file();
    std::vector<std::shared_ptr<Link>> links;
    for (auto const& [key, weak] : core.links)
        if (auto link = weak.lock()) links.push_back(std::move(link));
    for (auto const& link : links) link->cut();
}

}  // namespace parley
