#pragma once

// One connection of the HTTP server, over TCP or the control socket alike: one request at a time,
// in order. Deadlines are looked at by one coarse sweep of the server, since a timer for each
// request would cost more than the request.
#include "wire/request_reader.hpp"
#include "wire/response_text.hpp"
#include "wire/server.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <unordered_map>

namespace parley::wire {

namespace asio = boost::asio;
using Instant = std::chrono::steady_clock::time_point;
inline Instant now() { return std::chrono::steady_clock::now(); }

// What replies, event writers and the sweep see of a connection.
class Link : public std::enable_shared_from_this<Link> {
public:
    virtual ~Link() = default;
    virtual void answer(Response response) = 0;
    virtual void open_stream(std::string content_type, bool events) = 0;
    virtual bool stream(std::string_view bytes) = 0;
    virtual void end_stream() = 0;
    virtual void on_gone(std::function<void()> told) = 0;
    virtual void on_drained(std::function<void()> told) = 0;
    virtual std::size_t waiting_bytes() const = 0;
    virtual void sweep(Instant at) = 0;
    virtual void cut() = 0;  // at once, and nobody is told
};

// What all connections of a server share. It lives as long as the last of them.
struct Core {
    Core(asio::io_context& context, HttpServer::Handler handler, ServerLimits limits)
        : context(context), handler(std::move(handler)), limits(limits) {}

    asio::io_context& context;
    HttpServer::Handler handler;
    HttpServer::HeadCheck head_check;
    ServerLimits limits;
    bool stopped = false;
    std::function<void()> on_first_link;  // starts the sweep, which ends when no link is left
    std::unordered_map<Link*, std::weak_ptr<Link>> links;
};

std::shared_ptr<Reply> make_reply(std::shared_ptr<Link> link);

template <class Protocol>
class Connection final : public Link {
public:
    using Socket = asio::basic_stream_socket<Protocol, asio::io_context::executor_type>;

    Connection(std::shared_ptr<Core> core, Socket socket, Peer peer,
               std::shared_ptr<std::size_t> open_count)
        : core_(std::move(core)), socket_(std::move(socket)), peer_(std::move(peer)),
          open_count_(std::move(open_count)) {
        ++*open_count_;
        if (core_->head_check)
            reader_.check_heads_with([this](Request& head) { return terms_for(head); });
    }
    ~Connection() override { close(); }

    void begin() {
        boost::system::error_code ignored;
        socket_.non_blocking(true, ignored);
        core_->links.emplace(this, weak_from_this());
        if (core_->links.size() == 1) core_->on_first_link();
        deadline_ = now() + core_->limits.header_time;
        read();
    }

    void answer(Response response) override {
        if (phase_ != Phase::handling) return;
        auto keep = keep_alive_ && !core_->stopped;
        auto head = response_head(response, Framing::length, keep, http_1_1_);
        auto has_body = !head_only_ && response.status != 204 && response.status != 304;
        finish(head, has_body ? std::string_view(response.body) : std::string_view(), keep);
    }

    void open_stream(std::string content_type, bool events) override {
        if (phase_ != Phase::handling) return;
        Response response;
        response.content_type = std::move(content_type);
        if (events) response.headers.emplace_back("X-Accel-Buffering", "no");
        // Chunks tell a whole export from a cut one; an event stream has no end anyway.
        chunked_ = !events && http_1_1_;
        events_ = events;
        phase_ = Phase::streaming;
        last_write_ = now();
        put(response_head(response, chunked_ ? Framing::chunked : Framing::to_close, false, true));
        if (phase_ == Phase::streaming) watch();
    }

    bool stream(std::string_view bytes) override {
        if (phase_ != Phase::streaming) return false;
        if (bytes.empty() || head_only_) return true;
        if (waiting_bytes() != 0 && waiting_bytes() + bytes.size() > core_->limits.backlog_bytes) {
            gone();
            return false;
        }
        last_write_ = now();
        if (chunked_) {
            std::array<char, 20> size{};
            std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
            put(std::string(size.data()).append(bytes).append("\r\n"));
        } else {
            put(bytes);
        }
        return phase_ == Phase::streaming;
    }

    void end_stream() override {
        if (phase_ != Phase::streaming) return;
        told_gone_ = nullptr;
        told_drained_ = nullptr;
        finish(chunked_ && !head_only_ ? "0\r\n\r\n" : "", {}, false);
    }

    void on_gone(std::function<void()> told) override {
        if (phase_ == Phase::streaming) told_gone_ = std::move(told);
        else if (was_cut_) asio::post(core_->context, std::move(told));
    }
    void on_drained(std::function<void()> told) override { told_drained_ = std::move(told); }
    std::size_t waiting_bytes() const override { return out_.size() - sent_; }

    void sweep(Instant at) override {
        if (waiting_bytes() != 0 && at > write_deadline_) return gone();
        switch (phase_) {
            case Phase::reading:
                if (at <= deadline_) return;
                // One that never began a request is not owed an answer.
                if (reader_.state() == RequestReader::State::idle) return close();
                return refuse({408, "The request did not come in time."});
            case Phase::lingering:
                if (at > deadline_) close();
                return;
            case Phase::streaming:
                if (events_ && at >= last_write_ + core_->limits.heartbeat) stream(": \n\n");
                return;
            default: return;
        }
    }

    void cut() override { close(); }

private:
    enum class Phase {
        reading,    // a request, or waiting for one
        handling,   // the handler has it; nothing is read
        streaming,  // an open-ended answer; what is read is thrown away
        finishing,  // the last bytes go out
        lingering,  // we have said all; the other side is read out so that no reset eats it
        closed
    };

    std::shared_ptr<Connection> self() {
        return std::static_pointer_cast<Connection>(shared_from_this());
    }

    void read() {
        auto room = reader_.room();
        socket_.async_read_some(asio::buffer(room.data, room.size_bytes),
                                [me = self()](auto error, std::size_t count) {
                                    if (me->phase_ != Phase::reading) return;
                                    if (error) return me->close();
                                    me->step(me->reader_.took(count));
                                });
    }

    void step(RequestReader::State state) {
        using State = RequestReader::State;
        if (state == State::ready) return handle();
        if (state == State::refused) return refuse(reader_.refusal());
        if (state != last_state_) {
            if (state == State::header) deadline_ = now() + core_->limits.header_time;
            if (state == State::body) {
                auto own = reader_.body_time();
                deadline_ = now() + (own.count() > 0 ? own : core_->limits.body_time);
                if (reader_.expects_continue()) put("HTTP/1.1 100 Continue\r\n\r\n");
                if (phase_ != Phase::reading) return;
            }
            last_state_ = state;
        }
        read();
    }

    BodyTerms terms_for(Request& head) {
        head.peer = peer_;
        try {
            return core_->head_check(head);
        } catch (...) {
            return {HttpRefusal{500, "The request was dropped."}};
        }
    }

    void handle() {
        phase_ = Phase::handling;
        keep_alive_ = reader_.keep_alive();
        http_1_1_ = reader_.http_1_1();
        auto request = reader_.take();
        head_only_ = request.method == "HEAD";
        request.peer = peer_;
        // A reply that is dropped, by a throw or otherwise, answers 500.
        try {
            core_->handler(std::move(request), make_reply(shared_from_this()));
        } catch (...) {
        }
    }

    void refuse(HttpRefusal const& why) {
        auto response = problem(why.status, why.detail);
        response.headers = why.headers;
        finish(response_head(response, Framing::length, false, true), response.body, false);
    }

    // Sends the end of an answer; then the next request, or the connection's end.
    void finish(std::string_view head, std::string_view body, bool keep) {
        phase_ = Phase::finishing;
        keep_alive_ = keep;
        put(head, body);
        if (phase_ == Phase::finishing && waiting_bytes() == 0) finished();
    }

    void finished() {
        if (!keep_alive_) return linger();
        phase_ = Phase::reading;
        last_state_ = RequestReader::State::idle;
        deadline_ = now() + core_->limits.idle_time;
        // What came with the last request is looked at later, so that a pipeline neither recurses
        // nor keeps others waiting.
        if (reader_.has_unread())
            asio::post(core_->context, [me = self()] {
                if (me->phase_ == Phase::reading) me->step(me->reader_.go_on());
            });
        else
            read();
    }

    void linger() {
        boost::system::error_code error;
        socket_.shutdown(asio::socket_base::shutdown_send, error);
        if (error) return close();
        phase_ = Phase::lingering;
        deadline_ = now() + limits::http_linger_time;
        if (!watching_) watch();
    }

    // Throws away what comes and notices the end.
    void watch() {
        watching_ = true;
        socket_.async_read_some(asio::buffer(scratch_), [me = self()](auto error, std::size_t) {
            me->watching_ = false;
            switch (me->phase_) {
                case Phase::streaming: return error ? me->gone() : me->watch();
                case Phase::finishing:
                    if (!error) me->watch();
                    return;
                case Phase::lingering: return error ? me->close() : me->watch();
                default: return;
            }
        });
    }

    // Most answers fit the kernel's buffer: written at once, without a turn of the loop.
    void put(std::string_view head, std::string_view body = {}) {
        if (phase_ == Phase::closed) return;
        std::size_t done = 0;
        if (waiting_bytes() == 0) {
            boost::system::error_code error;
            std::array<asio::const_buffer, 2> both{asio::buffer(head), asio::buffer(body)};
            done = socket_.write_some(both, error);
            if (error && error != asio::error::would_block && error != asio::error::try_again)
                return gone();
            if (done == head.size() + body.size()) return;
            write_deadline_ = now() + core_->limits.idle_time;
        }
        if (done < head.size()) out_.append(head.substr(done));
        out_.append(body.substr(done > head.size() ? done - head.size() : 0));
        write_when_ready();
    }

    void write_when_ready() {
        if (writing_) return;
        writing_ = true;
        socket_.async_wait(asio::socket_base::wait_write, [me = self()](auto error) {
            me->writing_ = false;
            if (me->phase_ == Phase::closed) return;
            error ? me->gone() : me->write_more();
        });
    }

    void write_more() {
        boost::system::error_code error;
        auto done = socket_.write_some(asio::buffer(out_.data() + sent_, waiting_bytes()), error);
        if (error && error != asio::error::would_block && error != asio::error::try_again)
            return gone();
        sent_ += done;
        if (done > 0) write_deadline_ = now() + core_->limits.idle_time;
        if (waiting_bytes() != 0) {
            if (sent_ > out_.size() / 2) {
                out_.erase(0, sent_);
                sent_ = 0;
            }
            return write_when_ready();
        }
        std::string().swap(out_);
        sent_ = 0;
        if (phase_ == Phase::finishing) return finished();
        if (auto told = told_drained_) told();
    }

    // The reader went, or was too slow.
    void gone() {
        was_cut_ = true;
        auto told = std::move(told_gone_);
        close();
        if (told) asio::post(core_->context, std::move(told));
    }

    void close() {
        if (phase_ == Phase::closed) return;
        phase_ = Phase::closed;
        boost::system::error_code ignored;
        socket_.close(ignored);
        std::string().swap(out_);
        sent_ = 0;
        told_gone_ = nullptr;
        told_drained_ = nullptr;
        core_->links.erase(this);
        --*open_count_;
    }

    std::shared_ptr<Core> core_;
    Socket socket_;
    Peer peer_;
    std::shared_ptr<std::size_t> open_count_;  // shared with the listener and its other connections
    RequestReader reader_;
    Phase phase_ = Phase::reading;
    RequestReader::State last_state_ = RequestReader::State::idle;
    Instant deadline_, write_deadline_, last_write_;
    bool keep_alive_ = false, http_1_1_ = true, head_only_ = false;
    bool chunked_ = false, events_ = false, writing_ = false, watching_ = false, was_cut_ = false;
    std::string out_;       // what the kernel has not taken yet, from sent_ on
    std::size_t sent_ = 0;
    std::array<char, 512> scratch_;
    std::function<void()> told_gone_, told_drained_;
};

}  // namespace parley::wire
