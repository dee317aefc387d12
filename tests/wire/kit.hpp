#pragma once

// A raw client and a raw server on loopback, without blocking, so that one thread can turn the
// loop and watch from outside at once.
#include "base/loop.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace kit {

using namespace std::chrono_literals;

inline bool until(parley::Loop& loop, std::function<bool()> const& done,
                  std::chrono::milliseconds limit = 10s) {
    auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) return false;
        loop.run_for(2ms);
    }
    return true;
}

inline std::filesystem::path folder() {
    static auto const made = [] {
        auto path =
            std::filesystem::temp_directory_path() / ("parley-wire-" + std::to_string(::getpid()));
        std::filesystem::create_directories(path);
        std::atexit([] {
            std::error_code ignored;
            std::filesystem::remove_all(std::filesystem::temp_directory_path() /
                                            ("parley-wire-" + std::to_string(::getpid())),
                                        ignored);
        });
        return path;
    }();
    return made;
}

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// One end of a connection.
class Plug {
public:
    explicit Plug(int socket) : socket_(socket) { ::fcntl(socket_, F_SETFL, O_NONBLOCK); }
    ~Plug() { hang_up(); }
    Plug(Plug&& other) noexcept
        : got(std::move(other.got)),
          ended(other.ended),
          socket_(std::exchange(other.socket_, -1)) {}

    static Plug tcp(std::uint16_t port, int receive_buffer = 0) {
        auto socket = ::socket(AF_INET, SOCK_STREAM, 0);
        if (receive_buffer)
            ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        auto address = loopback(port);
        if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no connection");
        return Plug(socket);
    }
    static Plug unix_socket(std::filesystem::path const& path) {
        auto socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no connection");
        return Plug(socket);
    }

    std::size_t say(std::string_view bytes) {
        auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        return count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    // Everything that is there now.
    std::string const& hear() {
        char buffer[65536];
        while (true) {
            auto count = ::recv(socket_, buffer, sizeof buffer, 0);
            if (count > 0) got.append(buffer, static_cast<std::size_t>(count));
            else {
                if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) ended = true;
                return got;
            }
        }
    }
    bool heard(std::string_view text) { return hear().find(text) != std::string::npos; }
    bool at_end() { return hear(), ended; }
    void hang_up() {
        if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    }

    std::string got;
    bool ended = false;

private:
    int socket_;
};

// Listens on a port of its own; what comes is taken with accept().
class Outlet {
public:
    Outlet() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
        auto address = loopback(0);
        socklen_t size = sizeof address;
        ::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(socket_, 16);
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
    }
    ~Outlet() { close(); }
    void close() {
        if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    }
    int try_accept() { return ::accept(socket_, nullptr, nullptr); }
    Plug accept(parley::Loop& loop) {
        int taken = -1;
        if (!until(loop, [&] { return (taken = try_accept()) >= 0; }))
            throw std::runtime_error("nobody came");
        return Plug(taken);
    }
    std::uint16_t port = 0;

private:
    int socket_;
};

}  // namespace kit
