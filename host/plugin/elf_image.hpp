#pragma once

// A library's headers as the loader reads them, out of bytes that are hostile until checked.
// Room-private.
#include "base/result.hpp"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace parley {

// Reads values out of a hostile file; every read is checked.
class Image {
public:
    explicit Image(std::string_view bytes) : bytes_(bytes) {}

    template <class T>
    bool at(std::uint64_t offset, T& out) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof out) return false;
        std::memcpy(&out, bytes_.data() + offset, sizeof out);
        return true;
    }
    std::optional<std::string_view> part(std::uint64_t offset, std::uint64_t size) const {
        if (offset > bytes_.size() || bytes_.size() - offset < size) return {};
        return bytes_.substr(offset, size);
    }
    std::optional<std::string_view> text(std::uint64_t offset) const {
        if (offset >= bytes_.size()) return {};
        auto rest = bytes_.substr(offset, 4096);
        auto end = rest.find('\0');
        if (end == rest.npos) return {};
        return rest.substr(0, end);
    }

private:
    std::string_view bytes_;
};

struct Library {
    Image image;
    std::vector<Elf64_Phdr> segments;

    static Result<Library> open(std::string_view bytes);
    // Where in the file the byte at this address lies.
    std::optional<std::uint64_t> offset(std::uint64_t address) const;
};

// The dynamic section, as the loader will read it.
struct Dynamic {
    std::vector<std::uint64_t> needed;
    std::uint64_t strings = 0, strings_size = 0, symbols = 0, hash = 0, gnu_hash = 0, flags = 0;
    std::uint64_t flags_1 = 0, symbol_versions = 0, needed_versions = 0, constructor_bytes = 0;
    bool has_path = false, has_text_relocations = false, has_filter = false;
};

Result<Dynamic> read_dynamic(Library const& library);

// How many symbols there are: the tables that the loader searches are the ones that count.
std::optional<std::uint64_t> symbol_count(Library const& library, Dynamic const& dynamic);

// May a plugin need this library? Others are linked statically.
bool is_allowed_library(std::string_view name);

}  // namespace parley
