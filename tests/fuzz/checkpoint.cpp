// A checkpoint that somebody kept.
#include "target.hpp"

#include "ledger/ledger.hpp"

void try_bytes(std::string_view bytes) {
    auto checkpoint = parley::parse_checkpoint(bytes);
    if (!checkpoint) return;
    static_cast<void>(parley::is_genuine(*checkpoint));
    auto again = parley::parse_checkpoint(parley::to_json(*checkpoint));
    must(again && again->seq == checkpoint->seq && again->hash == checkpoint->hash,
         "what was written can be read");
}
