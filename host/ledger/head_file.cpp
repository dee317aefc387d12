#include "ledger/layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

namespace parley {

namespace {

constexpr std::size_t mark_bytes = 8 + 32 + 8;

std::string encode(HeadMark const& mark) {
    std::string bytes = big_endian(mark.seq);
    bytes.append(reinterpret_cast<char const*>(mark.hash.data()), mark.hash.size());
    auto check = blake2b(bytes);
    bytes.append(reinterpret_cast<char const*>(check.data()), 8);
    return bytes;
}

}  // namespace

HeadFile::HeadFile(std::filesystem::path const& folder)
    : descriptor_(open((folder / "head").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)),
      folder_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

HeadFile::~HeadFile() {
    if (descriptor_ >= 0) close(descriptor_);
    if (folder_ >= 0) close(folder_);
}

std::optional<HeadMark> HeadFile::read() const {
    char bytes[mark_bytes];
    if (pread(descriptor_, bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) return {};
    HeadMark mark;
    mark.seq = from_big_endian({bytes, 8});
    std::memcpy(mark.hash.data(), bytes + 8, mark.hash.size());
    if (encode(mark) != std::string_view(bytes, sizeof bytes)) return {};
    return mark;
}

bool HeadFile::is_damaged() const {
    char byte;
    return pread(descriptor_, &byte, 1, 0) == 1 && !read();
}

bool HeadFile::write(HeadMark const& mark) {
    auto bytes = encode(mark);
    if (pwrite(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
        fdatasync(descriptor_) != 0)
        return false;
    // The name of a new file is the folder's to keep.
    if (!is_named_) is_named_ = fsync(folder_) == 0;
    return is_named_;
}

}  // namespace parley
