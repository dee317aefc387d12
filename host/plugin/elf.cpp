#include "plugin/manifest.hpp"

#include "base/limits.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace parley {

namespace {

#if defined(__x86_64__)
constexpr Elf64_Half machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half machine = EM_AARCH64;
#endif

constexpr std::string_view entry_name = "parley_plugin_v1";
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

    static Result<Library> open(std::string_view bytes) {
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

    // Where in the file the byte at this address lies.
    std::optional<std::uint64_t> offset(std::uint64_t address) const {
        for (auto const& segment : segments)
            if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
                address - segment.p_vaddr < segment.p_filesz) {
                auto within = address - segment.p_vaddr;
                if (segment.p_offset > UINT64_MAX - within) return {};
                return segment.p_offset + within;
            }
        return {};
    }
};

std::uint64_t aligned(std::uint64_t size) {
    return (size + 3) & ~std::uint64_t{3};
}

// Looks through one note segment. Finds at most one; two would let readers disagree.
Result<std::optional<std::string>> note_in(Image const& image, Elf64_Phdr const& segment) {
    std::optional<std::string> found;
    auto notes = image.part(segment.p_offset, segment.p_filesz);
    if (!notes) return bad("a note lies outside the file");
    Image inside(*notes);
    for (std::uint64_t offset = 0; offset < notes->size();) {
        Elf64_Nhdr note;
        if (!inside.at(offset, note)) break;  // padding
        auto name_at = offset + sizeof note;
        auto body_at = name_at + aligned(note.n_namesz);
        auto name = inside.part(name_at, note.n_namesz);
        auto body = inside.part(body_at, note.n_descsz);
        if (!name || !body) return bad("a note is larger than its segment");
        if (*name == std::string_view("Parley", 7)) {
            if (found) return bad("two manifests");
            if (body->size() > limits::manifest_bytes) return bad("the manifest is too large");
            found = std::string(*body);
        }
        offset = body_at + aligned(note.n_descsz);
    }
    return found;
}

// The dynamic section, as the loader will read it.
struct Dynamic {
    std::vector<std::uint64_t> needed;
    std::uint64_t strings = 0, strings_size = 0, symbols = 0, hash = 0, gnu_hash = 0, flags = 0;
    bool has_path = false, has_text_relocations = false, has_filter = false;
};

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

// How many symbols there are: the tables that the loader searches are the ones that count.
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

Result<> check_exports(Library const& library, Dynamic const& dynamic) {
    auto symbols = library.offset(dynamic.symbols), strings = library.offset(dynamic.strings);
    auto count = symbol_count(library, dynamic);
    if (!symbols || !strings || !count) return bad("its symbol table makes no sense");
    bool has_entry = false;
    for (std::uint64_t i = 1; i < *count; ++i) {
        Elf64_Sym symbol;
        if (!library.image.at(*symbols + i * sizeof symbol, symbol))
            return bad("its symbol table lies outside the file");
        auto binding = ELF64_ST_BIND(symbol.st_info);
        auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS || binding == STB_LOCAL ||
            visibility == STV_HIDDEN || visibility == STV_INTERNAL)
            continue;
        auto name = library.image.text(*strings + symbol.st_name);
        if (!name) return bad("a symbol's name lies outside the file");
        if (*name != entry_name)
            return bad("it exports " + std::string(name->substr(0, 128)) + "; only " +
                       std::string(entry_name) + " may be exported");
        has_entry = true;
    }
    if (!has_entry) return bad("it does not export " + std::string(entry_name));
    return ok();
}

}  // namespace

Result<std::string> read_note(std::string_view elf) {
    TRY(library, Library::open(elf));
    std::optional<std::string> found;
    for (auto const& segment : library.segments) {
        if (segment.p_type != PT_NOTE) continue;
        TRY(note, note_in(library.image, segment));
        if (note && found) return bad("two manifests");
        if (note) found = std::move(note);
    }
    if (!found) return Error(Fault::not_found, "the library carries no manifest");
    return std::move(*found);
}

Result<> check_elf(std::string_view elf) {
    TRY(library, Library::open(elf));
    bool stack_named = false;
    for (auto const& segment : library.segments) {
        if (segment.p_type == PT_GNU_STACK) {
            stack_named = true;
            if (segment.p_flags & PF_X) return bad("it asks for an executable stack");
        }
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) && (segment.p_flags & PF_X))
            return bad("it has a segment that is both writable and executable");
        if (segment.p_type == PT_INTERP) return bad("a program, not a library");
    }
    if (!stack_named) return bad("it does not say that its stack is not executable");
    TRY(dynamic, read_dynamic(library));
    if (dynamic.has_path) return bad("it carries an RPATH or RUNPATH");
    if (dynamic.has_text_relocations) return bad("it has text relocations");
    if (dynamic.has_filter) return bad("it names an audit or filter library");
    auto strings = library.offset(dynamic.strings);
    if (!strings) return bad("its string table makes no sense");
    for (auto at : dynamic.needed) {
        auto name = at > UINT32_MAX ? std::nullopt : library.image.text(*strings + at);
        if (!name) return bad("the name of a needed library lies outside the file");
        if (std::find(allowed_libraries.begin(), allowed_libraries.end(), *name) ==
            allowed_libraries.end())
            return bad("it needs " + std::string(name->substr(0, 128)) +
                       "; link statically what is not libc, libm, libstdc++ or libgcc_s");
    }
    return check_exports(library, dynamic);
}

}  // namespace parley
