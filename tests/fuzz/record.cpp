// A record as it lies on the disk.
#include "target.hpp"

#include "base/json.hpp"
#include "ledger/layout.hpp"
#include "ledger/ledger.hpp"

#include <boost/json/value.hpp>

void try_bytes(std::string_view bytes) {
    auto record = parley::decode_record(bytes);
    if (!record) return;
    static_cast<void>(parley::canonical(*record));
    static_cast<void>(parley::hash_of(*record));
}
