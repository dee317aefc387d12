#include "plugin/elf_image.hpp"

#include <algorithm>
#include <array>

namespace parley {

namespace {

#if defined(__x86_64__)
constexpr Elf64_Half machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half machine = EM_AARCH64;
#endif

constexpr std::size_t symbols_most = 1u << 20;

// What every system that runs a worker has loaded already.
constexpr std::array allowed_libraries = {
    std::string_view("libc.so.6"),
    std::string_view("libm.so.6"),
    std::string_view("libstdc++.so.6"),
    std::string_view("libgcc_s.so.1"),
    std::string_view("libpthread.so.0"),
    std::string_view("libdl.so.2"),
    std::string_view("librt.so.1"),
    std::string_view("ld-linux-x86-64.so.2"),
    std::string_view("ld-linux-aarch64.so.1"),
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    std::string_view("libasan.so.8"),
    std::string_view("libubsan.so.1"),
    std::string_view("libtsan.so.2"),
#endif
};

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

}  // namespace

bool is_allowed_library(std::string_view name) {
    return std::find(allowed_libraries.begin(), allowed_libraries.end(), name) !=
           allowed_libraries.end();
}

Result<Library> Library::open(std::string_view bytes) {
    Library library{Image(bytes), {}};
    Elf64_Ehdr header;
    if (!library.image.at(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return bad("not an ELF file");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_ident[EI_VERSION] != EV_CURRENT || header.e_machine != machine)
        return bad("a library for another machine");
    if (header.e_type != ET_DYN) return bad("not a shared library");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > 64)
        return bad("its program headers make no sense");
    for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        if (header.e_phoff > bytes.size() ||
            !library.image.at(header.e_phoff + i * sizeof segment, segment))
            return bad("its program headers lie outside the file");
        library.segments.push_back(segment);
    }
    return library;
}

std::optional<std::uint64_t> Library::offset(std::uint64_t address) const {
    for (auto const& segment : segments)
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz) {
            auto within = address - segment.p_vaddr;
            if (segment.p_offset > UINT64_MAX - within) return {};
            return segment.p_offset + within;
        }
    return {};
}

Result<Dynamic> read_dynamic(Library const& library) {
    Dynamic dynamic;
    auto segment = std::find_if(library.segments.begin(), library.segments.end(),
                                [](auto const& s) { return s.p_type == PT_DYNAMIC; });
    if (segment == library.segments.end()) return bad("no dynamic section");
    auto count = segment->p_filesz / sizeof(Elf64_Dyn);
    if (count > 4096) return bad("its dynamic section makes no sense");
    for (std::uint64_t i = 0; i < count; ++i) {
        Elf64_Dyn entry;
        if (segment->p_offset > UINT64_MAX / 2 ||
            !library.image.at(segment->p_offset + i * sizeof entry, entry))
            return bad("its dynamic section lies outside the file");
        if (entry.d_tag == DT_NULL) break;
        switch (entry.d_tag) {
            case DT_NEEDED:
                dynamic.needed.push_back(entry.d_un.d_val);
                break;
            case DT_STRTAB:
                dynamic.strings = entry.d_un.d_ptr;
                break;
            case DT_STRSZ:
                dynamic.strings_size = entry.d_un.d_val;
                break;
            case DT_SYMTAB:
                dynamic.symbols = entry.d_un.d_ptr;
                break;
            case DT_HASH:
                dynamic.hash = entry.d_un.d_ptr;
                break;
            case DT_GNU_HASH:
                dynamic.gnu_hash = entry.d_un.d_ptr;
                break;
            case DT_RPATH:
            case DT_RUNPATH:
                dynamic.has_path = true;
                break;
            case DT_TEXTREL:
                dynamic.has_text_relocations = true;
                break;
            case DT_FLAGS_1:
                dynamic.flags_1 = entry.d_un.d_val;
                break;
            case DT_VERSYM:
                dynamic.symbol_versions = entry.d_un.d_ptr;
                break;
            case DT_VERNEED:
                dynamic.needed_versions = entry.d_un.d_ptr;
                break;
            case DT_INIT_ARRAYSZ:
                dynamic.constructor_bytes = entry.d_un.d_val;
                break;
            case DT_FLAGS:
                dynamic.flags = entry.d_un.d_val;
                break;
            case DT_AUXILIARY:
            case DT_FILTER:
            case DT_AUDIT:
            case DT_DEPAUDIT:
                dynamic.has_filter = true;
                break;
            default:
                break;
        }
    }
    if (dynamic.flags & DF_TEXTREL) dynamic.has_text_relocations = true;
    return dynamic;
}

std::optional<std::uint64_t> symbol_count(Library const& library, Dynamic const& dynamic) {
    std::uint64_t count = 0;
    if (dynamic.hash) {
        auto at = library.offset(dynamic.hash);
        std::uint32_t chains;
        if (!at || !library.image.at(*at + 4, chains)) return {};
        count = chains;
    }
    if (dynamic.gnu_hash) {
        auto at = library.offset(dynamic.gnu_hash);
        std::uint32_t buckets, first, bloom;
        if (!at || !library.image.at(*at, buckets) || !library.image.at(*at + 4, first) ||
            !library.image.at(*at + 8, bloom) || buckets > symbols_most || bloom > symbols_most)
            return {};
        auto buckets_at = *at + 16 + std::uint64_t{bloom} * 8;
        auto chains_at = buckets_at + std::uint64_t{buckets} * 4;
        std::uint32_t last = 0;
        for (std::uint64_t i = 0; i < buckets; ++i) {
            std::uint32_t bucket;
            if (!library.image.at(buckets_at + i * 4, bucket)) return {};
            last = std::max(last, bucket);
        }
        if (last >= first && last != 0) {
            for (;; ++last) {
                std::uint32_t chain;
                if (last > symbols_most ||
                    !library.image.at(chains_at + std::uint64_t{last - first} * 4, chain))
                    return {};
                if (chain & 1) break;
            }
            count = std::max<std::uint64_t>(count, std::uint64_t{last} + 1);
        }
    }
    if (!dynamic.hash && !dynamic.gnu_hash) return {};
    if (count > symbols_most) return {};
    return count;
}

}  // namespace parley
