#include "client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

namespace bench {

std::int64_t now_us() {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

namespace {

int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        close(fd);
        return -1;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

std::string head(int port, std::string const& token, std::string const& method,
                 std::string const& path, std::size_t size) {
    std::string text = method + ' ' + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                       "\r\nAuthorization: Bearer " + token + "\r\n";
    if (size) text += "Content-Type: application/json\r\n";
    return text + "Content-Length: " + std::to_string(size) + "\r\n\r\n";
}

bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        auto n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

// The size of the first whole response in `bytes`, or 0.
std::size_t response_size(std::string const& bytes) {
    auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return 0;
    auto at = bytes.find("Content-Length: ");
    if (at == std::string::npos || at > end) at = bytes.find("content-length: ");
    std::size_t size = at == std::string::npos || at > end
                           ? 0
                           : std::strtoul(bytes.c_str() + at + 16, nullptr, 10);
    auto whole = end + 4 + size;
    return bytes.size() >= whole ? whole : 0;
}

std::string_view text_after(std::string_view line, std::string_view key) {
    auto at = line.find(key);
    if (at == std::string_view::npos) return {};
    line.remove_prefix(at + key.size());
    return line.substr(0, line.find('"'));
}

}  // namespace

std::string request(int port, std::string const& token, std::string const& method,
                    std::string const& path, std::string const& body, int* status) {
    if (status) *status = 0;
    int fd = connect_to(port);
    if (fd < 0) return {};
    std::string in;
    if (send_all(fd, head(port, token, method, path, body.size()) + body)) {
        char piece[16384];
        while (!response_size(in)) {
            auto n = recv(fd, piece, sizeof piece, 0);
            if (n <= 0) break;
            in.append(piece, static_cast<std::size_t>(n));
        }
    }
    close(fd);
    if (!response_size(in)) return {};
    if (status) *status = std::atoi(in.c_str() + 9);
    return in.substr(in.find("\r\n\r\n") + 4);
}

Figures converse(int port, std::string const& token, int sessions, std::int64_t turns,
                 std::string const& text, std::string const& prefix) {
    struct Talk {
        int fd = -1;
        std::string in;
        std::int64_t sent_us = 0;
    };
    Figures figures;
    auto ledger_head = request(port, token, "GET", "/api/v1/ledger/head");
    auto seq = ledger_head.find("\"seq\":");
    std::string after = seq == std::string::npos
                            ? "0"
                            : std::to_string(std::strtoull(ledger_head.c_str() + seq + 6, nullptr, 10));

    std::vector<Talk> talks(static_cast<std::size_t>(sessions));
    std::unordered_map<std::string, std::size_t> by_conversation;
    int events = connect_to(port);
    send_all(events, head(port, token, "GET", "/api/v1/events?after=" + after, 0));

    auto say = [&](std::size_t i) {
        auto body = "{\"text\":\"" + text + "\",\"conversation\":\"" + prefix + std::to_string(i) + "\"}";
        talks[i].sent_us = now_us();
        send_all(talks[i].fd, head(port, token, "POST", "/api/v1/agents/assistant/messages", body.size()) + body);
    };
    std::vector<pollfd> polled;
    polled.push_back({events, POLLIN, 0});
    for (std::size_t i = 0; i < talks.size(); ++i) {
        talks[i].fd = connect_to(port);
        polled.push_back({talks[i].fd, POLLIN, 0});
        by_conversation[prefix + std::to_string(i)] = i;
    }
    auto start = now_us();
    std::int64_t begun = 0;
    for (std::size_t i = 0; i < talks.size(); ++i, ++begun) say(i);

    std::string stream;
    std::vector<char> piece(256 * 1024);
    while (figures.turns < turns) {
        if (poll(polled.data(), polled.size(), 10'000) <= 0) {
            ++figures.failed;
            break;
        }
        for (std::size_t p = 0; p < polled.size(); ++p) {
            if (!polled[p].revents) continue;
            auto n = recv(polled[p].fd, piece.data(), piece.size(), MSG_DONTWAIT);
            if (n <= 0) {
                if (n < 0 && errno == EAGAIN) continue;
                std::fprintf(stderr, "a connection was closed\n");
                figures.failed = 1;
                figures.wall_us = now_us() - start;
                return figures;
            }
            if (p > 0) {
                auto& in = talks[p - 1].in;
                in.append(piece.data(), static_cast<std::size_t>(n));
                while (auto size = response_size(in)) {
                    if (in.compare(9, 1, "2") != 0) {
                        if (figures.failed++ == 0) std::fprintf(stderr, "%s\n", in.substr(0, 400).c_str());
                    }
                    in.erase(0, size);
                }
                continue;
            }
            stream.append(piece.data(), static_cast<std::size_t>(n));
            std::size_t used = 0;
            for (std::size_t end; (end = stream.find('\n', used)) != std::string::npos; used = end + 1) {
                std::string_view line(stream.data() + used, end - used);
                if (!line.starts_with("data:") || line.find("\"kind\":\"message.queued\"") == line.npos)
                    continue;
                auto talk = by_conversation.find(std::string(text_after(line, "\"conversation\":\"")));
                if (talk == by_conversation.end()) continue;
                figures.latencies_us.push_back(now_us() - talks[talk->second].sent_us);
                ++figures.turns;
                if (begun < turns) {
                    ++begun;
                    say(talk->second);
                }
            }
            stream.erase(0, used);
        }
    }
    figures.wall_us = now_us() - start;
    for (auto const& one : polled) close(one.fd);
    return figures;
}

}  // namespace bench
