// A plugin's file, as far as it is read before it is loaded.
#include "target.hpp"

#include "plugin/elf_facts.hpp"
#include "plugin/manifest.hpp"

void try_bytes(std::string_view bytes) {
    static_cast<void>(parley::read_note(bytes));
    static_cast<void>(parley::check_elf(bytes));
    static_cast<void>(parley::read_elf_facts(bytes));
}
