#include "base/json.hpp"
#include "base/text.hpp"
#include "ledger/layout.hpp"
#include "ledger/walk.hpp"

#include <sodium.h>
#include <boost/json/value.hpp>

#include <cstring>

namespace parley {

Result<Digest> digest_from(std::string_view text) {
    auto bytes = from_hex(text);
    Digest digest{};
    if (!bytes || bytes->size() != digest.size()) return Error(Fault::bad_input, "not a digest");
    std::memcpy(digest.data(), bytes->data(), digest.size());
    return digest;
}

std::string checkpoint_bytes(Checkpoint const& c) {
    std::string bytes;
    auto field = [&](std::string_view text) {
        auto size = static_cast<std::uint32_t>(text.size());
        for (int i = 0; i < 4; ++i) bytes += static_cast<char>(size >> (8 * i) & 255);
        bytes += text;
    };
    auto number = [&](std::uint64_t value) {
        std::string little;
        for (int i = 0; i < 8; ++i) little += static_cast<char>(value >> (8 * i) & 255);
        field(little);
    };
    field("parley.checkpoint/1");
    field(c.vault);
    number(c.seq);
    field({reinterpret_cast<char const*>(c.hash.data()), c.hash.size()});
    number(static_cast<std::uint64_t>(c.time_us));
    return bytes;
}

bool is_genuine(Checkpoint const& c) {
    auto signature = from_hex(c.signature), key = from_hex(c.public_key);
    if (!signature || !key) return false;
    // One text for one value: digits in capitals are not what was written.
    if (hex(*signature) != c.signature || hex(*key) != c.public_key) return false;
    return is_signed(checkpoint_bytes(c), *signature, *key);
}

std::string to_json(Checkpoint const& c) {
    JsonWriter out;
    out.begin('{').key("checkpoint").begin('{').pair("vault", c.vault);
    out.pair("seq", static_cast<std::int64_t>(c.seq)).pair("hash", hex(c.hash));
    out.pair("time", iso_time(c.time_us)).pair("time_us", c.time_us);
    out.pair("public_key", c.public_key).pair("signature", c.signature);
    return out.end('}').end('}').take();
}

Result<Checkpoint> parse_checkpoint(std::string_view text) {
    TRY(value, parse_json(text));
    auto const* found = member(value, "checkpoint");
    if (!found) return Error(Fault::bad_input, "not a checkpoint");
    Checkpoint c;
    c.vault = text_at(*found, "vault");
    c.seq = static_cast<Seq>(int_at(*found, "seq"));
    TRY(hash, digest_from(text_at(*found, "hash")));
    c.hash = hash;
    c.time_us = int_at(*found, "time_us");
    c.public_key = text_at(*found, "public_key");
    c.signature = text_at(*found, "signature");
    return c;
}

}  // namespace parley
