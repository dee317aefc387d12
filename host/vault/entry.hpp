#pragma once

// One secret of the vault, as bytes to be sealed. Names and times are inside, and the length is
// padded, so the file tells nobody what it holds.
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parley {

struct Entry {
    std::string scope, key;
    std::uint64_t version = 0;
    std::int64_t set_us = 0;
    std::uint64_t retired_in = 0;  // the generation that replaced or removed it; 0: live
    std::string nonce, sealed;     // as in the file

    bool is_retired() const { return retired_in != 0; }
    std::string text() const { return scope + '/' + key; }
};

// Version, time, retirement, scope, key, value; padded to 64 bytes. The caller wipes it.
std::string plain_of(Entry const& facts, std::string_view value);

// Fills `facts` but what is sealed; returns the value, which points into `plain`.
Result<std::string_view> read_plain(std::string_view plain, Entry& facts);

}  // namespace parley
