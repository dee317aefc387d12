// parley_floor PORT FILE: the floor of one durable turn. It takes the driver's HTTP, appends and
// syncs a line for what came in, makes a round trip to a child process over a socket pair, appends
// and syncs a line for what goes out, and answers; many turns share one sync. No parsing beyond
// finding the conversation, no checks, no state: what remains is the price of the system calls.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        auto n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

[[noreturn]] void echo(int link) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char bytes[65536];
    for (ssize_t n; (n = read(link, bytes, sizeof bytes)) > 0;)
        send_all(link, {bytes, static_cast<std::size_t>(n)});
    _exit(0);
}

std::string ok(std::string const& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
    listen(listener, 256);
    int file = open(argv[2], O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    int link[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, link) != 0) return 1;
    if (fork() == 0) echo(link[1]);
    close(link[1]);

    std::map<int, std::string> connections;
    int events = -1;
    std::string link_in;
    while (true) {
        std::vector<pollfd> polled{{listener, POLLIN, 0}, {link[0], POLLIN, 0}};
        for (auto const& [fd, in] : connections) polled.push_back({fd, POLLIN, 0});
        if (poll(polled.data(), polled.size(), -1) < 0) return 1;
        std::string received, to_child, answered;
        std::vector<int> accepted;
        std::vector<char> piece(65536);
        for (auto const& one_polled : polled) {
            if (!one_polled.revents) continue;
            if (one_polled.fd == listener) {
                int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections[fd];
                continue;
            }
            auto n = recv(one_polled.fd, piece.data(), piece.size(), 0);
            if (one_polled.fd == link[0]) {
                if (n <= 0) return 1;
                link_in.append(piece.data(), static_cast<std::size_t>(n));
                std::size_t used = 0;
                for (std::size_t end; (end = link_in.find('\n', used)) != std::string::npos; used = end + 1)
                    answered += "data: {\"kind\":\"message.queued\",\"body\":{\"conversation\":\"" +
                                link_in.substr(used, end - used) + "\"}}\n\n";
                link_in.erase(0, used);
                continue;
            }
            if (n <= 0) {
                if (one_polled.fd == events) events = -1;
                close(one_polled.fd);
                connections.erase(one_polled.fd);
                continue;
            }
            auto& in = connections[one_polled.fd];
            in.append(piece.data(), static_cast<std::size_t>(n));
            if (in.starts_with("GET /api/v1/events")) {
                events = one_polled.fd;
                send_all(events, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
                in.clear();
            } else if (in.starts_with("GET ")) {
                send_all(one_polled.fd, ok("{\"seq\":0}"));
                in.clear();
            } else if (auto at = in.find("\"conversation\":\""); at != std::string::npos && in.back() == '}') {
                auto name = in.substr(at + 16, in.find('"', at + 16) - at - 16);
                received += in.substr(in.find("\r\n\r\n"));
                to_child += name + '\n';
                accepted.push_back(one_polled.fd);
                in.clear();
            }
        }
        if (!received.empty()) {
            if (write(file, received.data(), received.size()) < 0 || fdatasync(file) != 0) return 1;
            for (int fd : accepted) send_all(fd, ok("{\"seq\":1}"));
            send_all(link[0], to_child);
        }
        if (!answered.empty()) {
            if (write(file, answered.data(), answered.size()) < 0 || fdatasync(file) != 0) return 1;
            if (events >= 0) send_all(events, answered);
        }
    }
}
