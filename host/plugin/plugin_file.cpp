#include "plugin/catalogue.hpp"

#include "base/limits.hpp"
#include "plugin/file_view.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace parley {

namespace {

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor const&) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    int get() const { return number_; }
    int release() { return std::exchange(number_, -1); }

private:
    int number_;
};

Error failed(std::filesystem::path const& path, char const* what) {
    return Error(Fault::bad_input,
                 path.filename().string() + " " + what + ": " + std::strerror(errno));
}

Error unfit(std::filesystem::path const& path, char const* what) {
    return Error(Fault::denied, path.filename().string() + " " + what);
}

// Only a file that nobody but root and this user could have written, and no link to one.
Result<std::size_t> check_facts(int file, std::filesystem::path const& path) {
    struct stat facts {};
    if (fstat(file, &facts) != 0) return failed(path, "cannot be read");
    if (!S_ISREG(facts.st_mode)) return unfit(path, "is not a regular file");
    if (facts.st_uid != 0 && facts.st_uid != geteuid())
        return unfit(path, "belongs to another user");
    if (facts.st_mode & (S_IWGRP | S_IWOTH))
        return unfit(path, "can be written by others; chmod go-w it");
    if (facts.st_mode & (S_ISUID | S_ISGID)) return unfit(path, "is setuid or setgid");
    if (facts.st_size <= 0) return unfit(path, "is empty");
    if (static_cast<std::uint64_t>(facts.st_size) > limits::plugin_file_bytes)
        return unfit(path, "is too large for a plugin");
    return static_cast<std::size_t>(facts.st_size);
}

// The bytes as they were when they were read, never to change again.
Result<int> seal(int file, std::size_t size, std::filesystem::path const& path) {
    auto name = path.stem().string().substr(0, 64);
    Descriptor memory(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (memory.get() < 0) return failed(path, "cannot be kept");
    char piece[65536];
    std::size_t copied = 0;
    for (;;) {
        auto n = read(file, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(path, "cannot be read");
        if (n == 0) break;
        copied += static_cast<std::size_t>(n);
        if (copied > size) return unfit(path, "grew while it was read");
        for (ssize_t done = 0; done < n;) {
            auto written = write(memory.get(), piece + done, static_cast<std::size_t>(n - done));
            if (written < 0) return failed(path, "cannot be kept");
            done += written;
        }
    }
    if (copied != size) return unfit(path, "shrank while it was read");
    if (fcntl(memory.get(), F_ADD_SEALS,
              F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return failed(path, "cannot be sealed");
    return memory.release();
}

}  // namespace

Result<std::shared_ptr<PluginFile const>> PluginFile::read(std::filesystem::path const& path) {
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file.get() < 0) return failed(path, "cannot be opened");
    TRY(size, check_facts(file.get(), path));
    std::shared_ptr<PluginFile> plugin(new PluginFile);
    TRY(memory, seal(file.get(), size, path));
    plugin->descriptor_ = memory;
    FileView view(memory, size);
    if (!view) return failed(path, "cannot be mapped");
    plugin->hash_ = hex(blake2b(view.bytes()));
    TRY(note, read_note(view.bytes()));
    TRY(manifest, parse_manifest(note));
    plugin->manifest_ = std::move(manifest);
    MUST(check_elf(view.bytes()));
    return std::shared_ptr<PluginFile const>(std::move(plugin));
}

PluginFile::~PluginFile() {
    if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace parley
