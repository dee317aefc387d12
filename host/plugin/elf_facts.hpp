#pragma once

// What can be known of a library from its headers, for a person who wants to know why it is or is
// not fit to be a plugin. It decides nothing; check_elf() does.
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct ElfFacts {
    struct Symbol {
        std::string name;
        std::string version;  // of an import: GLIBC_2.34, or empty
        bool is_weak = false, is_unique = false, is_object = false;
        std::uint64_t address = 0;  // of an export
    };
    std::vector<Symbol> imports, exports;
    std::vector<std::string> needed;
    std::vector<std::string> strange;  // those of them that a plugin may not need
    bool has_path = false, has_text_relocations = false, has_filter = false;
    bool has_executable_stack = false, has_writable_code = false, is_program = false;
    bool binds_now = false;
    bool note_is_loaded = false;  // the manifest's note is part of what is mapped
    bool is_go = false;
    std::uint64_t relro_begin = 0, relro_end = 0;  // addresses; read-only once it is loaded
    std::uint64_t constructors = 0;
};

// Fault::bad_input when the headers make no sense.
Result<ElfFacts> read_elf_facts(std::string_view elf);

}  // namespace parley
