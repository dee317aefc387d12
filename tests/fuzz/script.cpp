// A script for the offline model, from a message.
#include "target.hpp"

#include "script.hpp"

void try_bytes(std::string_view bytes) {
    if (rehearsal::is_script(bytes)) static_cast<void>(rehearsal::parse_script(bytes));
}
