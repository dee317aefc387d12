#include "plugin/manifest.hpp"

#include "base/limits.hpp"
#include "plugin/elf_image.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace parley {

namespace {

constexpr std::string_view entry_name = "parley_plugin_v1";

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

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
        if (!is_allowed_library(*name))
            return bad("it needs " + std::string(name->substr(0, 128)) +
                       "; link statically what is not libc, libm, libstdc++ or libgcc_s");
    }
    return check_exports(library, dynamic);
}

}  // namespace parley
