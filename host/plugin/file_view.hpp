#pragma once

// A file's bytes, looked at without a copy; and a file's bytes replaced for good. Room-private.
#include "base/result.hpp"

#include <sys/mman.h>
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace parley {

class FileView {
public:
    FileView(int descriptor, std::size_t size) : size_(size) {
        bytes_ = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    }
    FileView(FileView const&) = delete;
    ~FileView() {
        if (bytes_ != MAP_FAILED) munmap(bytes_, size_);
    }
    explicit operator bool() const { return bytes_ != MAP_FAILED; }
    std::string_view bytes() const { return {static_cast<char const*>(bytes_), size_}; }

private:
    void* bytes_;
    std::size_t size_;
};

// Written beside it, synced, and then put in its place: a crash leaves the old or the new, whole.
Result<> replace_file(std::filesystem::path const& path, std::string_view bytes, mode_t mode);

}  // namespace parley
