#include "wire/peer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace parley {
namespace {

std::string read_small_file(std::string const& path) {
    std::string text;
    auto file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return text;
    text.resize(8192);
    auto count = ::read(file, text.data(), text.size());
    ::close(file);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

}  // namespace

bool is_trusted_peer(int unix_socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    if (peer.uid != ::geteuid() || peer.pid <= 0) return false;
    auto status = read_small_file("/proc/" + std::to_string(peer.pid) + "/status");
    // A process can name itself anything, but the kernel escapes a newline in the Name line.
    return status.find("\nNoNewPrivs:\t0\n") != std::string::npos;
}

}  // namespace parley
