#pragma once

// The whole disk layout of the ledger.
//   ledger/db               RocksDB, three column families:
//     default               rows: one table byte, then the key; bodies: byte 255, then the digest
//     records               seq, eight bytes big endian -> canonical bytes, then 32 bytes of hash
//     sessions              session id, '/', seq big endian -> nothing
//   ledger/head             seq, hash and checksum of the last record: 48 bytes, synced on its own
//   ledger/checkpoints.ndjson   signed checkpoints, for whoever keeps copies elsewhere
#include "ledger/ledger.hpp"

#include <string>
#include <string_view>

namespace parley {

constexpr char body_table = '\xff';

inline std::string big_endian(std::uint64_t number) {
    std::string bytes(8, '\0');
    for (int i = 7; i >= 0; --i, number >>= 8) bytes[i] = static_cast<char>(number & 255);
    return bytes;
}

inline std::uint64_t from_big_endian(std::string_view bytes) {
    std::uint64_t number = 0;
    for (char c : bytes) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

inline std::string row_key(Table table, std::string_view key) {
    std::string whole;
    whole.reserve(1 + key.size());
    whole += static_cast<char>(table);
    whole += key;
    return whole;
}

inline std::string body_key(Digest const& digest) {
    std::string key(1, body_table);
    return key.append(reinterpret_cast<char const*>(digest.data()), digest.size());
}

// Written by the committer past the batches; rows of Table::meta all the same.
inline std::string checkpoint_key(Seq seq) {
    return row_key(Table::meta, "checkpoint/" + big_endian(seq));
}

// The bytes that are hashed, and stored with the hash behind them.
std::string canonical(Record const& record);
std::optional<Record> decode_record(std::string_view stored);

// ledger/head.
struct HeadMark {
    Seq seq = 0;
    Digest hash{};
};
class HeadFile {
public:
    explicit HeadFile(std::filesystem::path const& folder);
    ~HeadFile();
    HeadFile(HeadFile const&) = delete;
    bool is_open() const { return descriptor_ >= 0; }
    std::optional<HeadMark> read() const;  // nothing when there is none yet, or it is damaged
    bool is_damaged() const;
    bool write(HeadMark const& mark);      // synced

private:
    int descriptor_, folder_;
    bool is_named_ = false;  // the folder was synced since the file was made
};

std::string checkpoint_bytes(Checkpoint const& checkpoint);  // what is signed

}  // namespace parley
