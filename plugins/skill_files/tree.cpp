#include "tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace files {
namespace {

constexpr int races_lost = 16;  // the kernel says "again" when a rename crosses its check

void regular_only(int file, std::string_view path, std::size_t most = file_bytes) {
    struct stat facts {};
    if (::fstat(file, &facts) != 0) give_up(path, errno);
    if (S_ISDIR(facts.st_mode)) give_up(path, EISDIR);
    if (!S_ISREG(facts.st_mode)) throw Problem(std::string(path) + " is not a regular file");
    if (static_cast<std::size_t>(facts.st_size) > most) {
        throw Problem(std::string(path) + " is larger than " + std::to_string(most >> 20) +
                      " MiB (" + std::to_string(facts.st_size) + " bytes)");
    }
}

// Nothing waits for the other end of a pipe, becomes a terminal, or survives an exec.
constexpr int reading = O_RDONLY | O_NONBLOCK | O_NOCTTY;
constexpr int folder_only = O_RDONLY | O_DIRECTORY;

}  // namespace

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

void give_up(std::string_view path, int problem) {
    std::string const name = path.empty() ? "the workspace" : std::string(path);
    switch (problem) {
        case ENOENT: throw Problem(name + " does not exist");
        case ELOOP: throw Problem(name + " is or passes a symbolic link; links are not followed");
        case EXDEV: throw Problem(name + " leads outside the workspace");
        case EISDIR: throw Problem(name + " is a folder");
        case ENOTDIR: throw Problem(name + " passes or is something that is not a folder");
        case ENXIO: throw Problem(name + " is not a regular file");
        case EACCES:
        case EPERM:
        case EROFS: throw Problem(name + " may not be used this way: " + std::strerror(problem));
        default: throw Problem(name + ": " + std::strerror(problem));
    }
}

Descriptor open_beneath(int folder, std::string const& path, int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    char const* const name = path.empty() ? "." : path.c_str();
    for (int lost = 0;; ++lost) {
        long const got = ::syscall(SYS_openat2, folder, name, &how, sizeof how);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR) || lost == races_lost) {
            return Descriptor(static_cast<int>(got));
        }
    }
}

std::optional<Descriptor> open_if_there(int folder, std::string const& name) {
    Descriptor file = open_beneath(folder, name, reading);
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file) give_up(name, errno);
    regular_only(file.get(), name);
    return file;
}

// The grant itself is the operator's word, so its own path may pass links.
Tree::Tree(std::string root) : root_path_(std::move(root)) {
    while (root_path_.size() > 1 && root_path_.back() == '/') root_path_.pop_back();
    root_ = Descriptor(::open(root_path_.c_str(), folder_only | O_CLOEXEC));
    if (!root_) give_up("", errno);
}

std::string Tree::relative(std::string_view path) const {
    if (path.find('\0') != path.npos) throw Problem("a path may not hold a NUL");
    if (path.starts_with('/')) {
        bool const inside = path.starts_with(root_path_) &&
                            (path.size() == root_path_.size() || path[root_path_.size()] == '/');
        if (!inside)
            throw Problem(std::string(path) +
                          " lies outside the workspace; give a path relative to it");
        path.remove_prefix(root_path_.size());
    }
    std::string out;
    while (!path.empty()) {
        std::size_t const end = std::min(path.find('/'), path.size());
        std::string_view const part = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..")
            throw Problem("a path may not hold `..`; give it relative to the workspace");
        if (!out.empty()) out += '/';
        out += part;
    }
    return out;
}

Descriptor Tree::open_folder(std::string const& path) const {
    Descriptor out = open_beneath(root_.get(), path, folder_only);
    if (!out) give_up(path, errno);
    return out;
}

Descriptor Tree::open_file(std::string const& path, std::size_t most) const {
    Descriptor out = open_beneath(root_.get(), path, reading);
    if (!out) give_up(path, errno);
    regular_only(out.get(), path, most);
    return out;
}

bool Tree::is_folder(std::string const& path) const {
    return static_cast<bool>(open_beneath(root_.get(), path, folder_only));
}

Place Tree::place_for(std::string const& path) const {
    if (path.empty()) give_up(path, EISDIR);
    Place out{open_folder(""), path};
    for (std::size_t slash; (slash = out.name.find('/')) != std::string::npos;) {
        std::string const part = out.name.substr(0, slash);
        if (::mkdirat(out.folder.get(), part.c_str(), 0755) != 0 && errno != EEXIST) {
            give_up(path, errno);
        }
        Descriptor next = open_beneath(out.folder.get(), part, folder_only);
        if (!next) give_up(path, errno);
        out.folder = std::move(next);
        out.name.erase(0, slash + 1);
    }
    return out;
}

std::string read_all(int file, std::size_t most) {
    std::string out;
    char buffer[64 * 1024];
    for (;;) {
        ssize_t const got = ::read(file, buffer, sizeof buffer);
        if (got == 0) return out;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Problem(std::string("reading failed: ") + std::strerror(errno));
        out.append(buffer, static_cast<std::size_t>(got));
        if (out.size() > most) throw Problem("the file grew too large while it was read");
    }
}

std::pair<std::vector<Entry>, bool> entries_of(Descriptor folder, std::size_t most) {
    // fdopendir takes the descriptor over.
    int const own = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    std::unique_ptr<DIR, int (*)(DIR*)> const stream(::fdopendir(own), &::closedir);
    if (!stream) {
        if (own >= 0) ::close(own);
        throw Problem("the folder cannot be listed");
    }
    std::vector<Entry> out;
    bool more = false;
    while (dirent const* const next = ::readdir(stream.get())) {
        std::string_view const name = next->d_name;
        if (name == "." || name == "..") continue;
        if (out.size() == most) {
            more = true;
            break;
        }
        Entry entry{std::string(name)};
        if (::fstatat(folder.get(), next->d_name, &entry.facts, AT_SYMLINK_NOFOLLOW) == 0) {
            out.push_back(std::move(entry));
        }
    }
    auto by_name = [](Entry const& a, Entry const& b) { return a.name < b.name; };
    std::sort(out.begin(), out.end(), by_name);
    return {std::move(out), more};
}

}  // namespace files
