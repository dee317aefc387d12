#include "plugin/elf_facts.hpp"

#include "plugin/elf_image.hpp"

#include <map>

namespace parley {

namespace {

constexpr std::uint64_t versions_most = 4096;  // libraries and versions that one file may name

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

// The names of the versions that imports refer to, by number.
Result<std::map<unsigned, std::string>> read_versions(Library const& library,
                                                      Dynamic const& dynamic,
                                                      std::uint64_t strings) {
    std::map<unsigned, std::string> names;
    if (!dynamic.needed_versions) return names;
    auto at = library.offset(dynamic.needed_versions);
    std::uint64_t seen = 0;
    for (bool more = at.has_value(); more;) {
        Elf64_Verneed need;
        if (++seen > versions_most || !library.image.at(*at, need))
            return bad("its table of versions makes no sense");
        auto one = *at + need.vn_aux;
        for (unsigned i = 0; i < need.vn_cnt; ++i) {
            Elf64_Vernaux version;
            if (++seen > versions_most || !library.image.at(one, version))
                return bad("its table of versions makes no sense");
            if (auto name = library.image.text(strings + version.vna_name))
                names[version.vna_other] = std::string(*name);
            one += version.vna_next;
        }
        more = need.vn_next != 0;
        *at += need.vn_next;
    }
    return names;
}

Result<> read_symbols(Library const& library, Dynamic const& dynamic, std::uint64_t strings,
                      ElfFacts& facts) {
    auto symbols = library.offset(dynamic.symbols);
    auto count = symbol_count(library, dynamic);
    if (!symbols || !count) return bad("its symbol table makes no sense");
    // The table by which the loader searches holds exports only; imports come before them.
    TRY(versions, read_versions(library, dynamic, strings));
    auto numbers = dynamic.symbol_versions ? library.offset(dynamic.symbol_versions) : std::nullopt;
    for (std::uint64_t i = 1; i < *count; ++i) {
        Elf64_Sym symbol;
        if (!library.image.at(*symbols + i * sizeof symbol, symbol))
            return bad("its symbol table lies outside the file");
        auto binding = ELF64_ST_BIND(symbol.st_info);
        auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
        if (binding == STB_LOCAL || visibility == STV_HIDDEN || visibility == STV_INTERNAL)
            continue;
        auto name = library.image.text(strings + symbol.st_name);
        if (!name) return bad("a symbol's name lies outside the file");
        ElfFacts::Symbol one;
        one.name = *name;
        one.is_weak = binding == STB_WEAK;
        one.is_unique = binding == STB_GNU_UNIQUE;
        one.is_object = ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT;
        one.address = symbol.st_value;
        std::uint16_t number = 0;
        if (numbers) library.image.at(*numbers + i * sizeof number, number);
        if (auto version = versions.find(number & 0x7fffu); version != versions.end())
            one.version = version->second;
        if (symbol.st_shndx == SHN_UNDEF)
            facts.imports.push_back(std::move(one));
        else if (symbol.st_shndx != SHN_ABS)
            facts.exports.push_back(std::move(one));
    }
    return ok();
}

bool has_owner(Library const& library, Elf64_Phdr const& segment, std::string_view owner) {
    auto notes = library.image.part(segment.p_offset, segment.p_filesz);
    if (!notes) return false;
    Image inside(*notes);
    auto padded = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
    Elf64_Nhdr note;
    for (std::uint64_t at = 0; inside.at(at, note);) {
        if (inside.part(at + sizeof note, note.n_namesz) == owner) return true;
        at += sizeof note + padded(note.n_namesz) + padded(note.n_descsz);
    }
    return false;
}

bool is_mapped(Library const& library, Elf64_Phdr const& part) {
    for (auto const& segment : library.segments)
        if (segment.p_type == PT_LOAD && part.p_offset >= segment.p_offset &&
            part.p_filesz <= segment.p_filesz &&
            part.p_offset - segment.p_offset <= segment.p_filesz - part.p_filesz)
            return true;
    return false;
}

}  // namespace

Result<ElfFacts> read_elf_facts(std::string_view elf) {
    TRY(library, Library::open(elf));
    TRY(dynamic, read_dynamic(library));
    ElfFacts facts;
    bool names_stack = false;
    for (auto const& segment : library.segments) {
        bool writes = segment.p_flags & PF_W, runs = segment.p_flags & PF_X;
        if (segment.p_type == PT_GNU_STACK) {
            names_stack = true;
            facts.has_executable_stack = runs;
        }
        if (segment.p_type == PT_LOAD && writes && runs) facts.has_writable_code = true;
        if (segment.p_type == PT_INTERP) facts.is_program = true;
        if (segment.p_type == PT_GNU_RELRO) {
            facts.relro_begin = segment.p_vaddr;
            facts.relro_end = segment.p_vaddr + segment.p_memsz;
        }
        if (segment.p_type != PT_NOTE) continue;
        if (has_owner(library, segment, {"Parley", 7}))
            facts.note_is_loaded = is_mapped(library, segment);
        if (has_owner(library, segment, {"Go\0\0", 4})) facts.is_go = true;
    }
    if (!names_stack) facts.has_executable_stack = true;
    facts.has_path = dynamic.has_path;
    facts.has_text_relocations = dynamic.has_text_relocations;
    facts.has_filter = dynamic.has_filter;
    facts.binds_now = (dynamic.flags & DF_BIND_NOW) || (dynamic.flags_1 & DF_1_NOW);
    facts.constructors = dynamic.constructor_bytes / sizeof(std::uint64_t);
    auto strings = library.offset(dynamic.strings);
    if (!strings) return bad("its string table makes no sense");
    for (auto at : dynamic.needed) {
        auto name = at > UINT32_MAX ? std::nullopt : library.image.text(*strings + at);
        if (!name) return bad("the name of a needed library lies outside the file");
        facts.needed.emplace_back(*name);
        if (!is_allowed_library(*name)) facts.strange.emplace_back(*name);
    }
    MUST(read_symbols(library, dynamic, *strings, facts));
    return facts;
}

}  // namespace parley
