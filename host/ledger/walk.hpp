#pragma once

// Follows a chain record by record, and holds it against checkpoints on the way. It reads nothing
// itself.
#include "ledger/ledger.hpp"

#include <map>

namespace parley {

class Walk {
public:
    // `public_key`, when given, must have signed every checkpoint that is expected.
    Walk(std::optional<Checkpoint> against, std::string_view public_key);

    // A checkpoint that the chain must match where it reaches it; false when it is no good.
    bool expect(Checkpoint const& checkpoint);
    bool take(Record const& record);
    // Tampered, at the record after the last sound one. Always false.
    bool bad(std::string why);
    Verdict end() const;

    Seq next() const { return verdict_.checked + 1; }
    bool is_sound() const { return verdict_.kind == Verdict::Kind::sound; }

private:
    bool bad_at(Seq seq, std::string why);

    Verdict verdict_;
    std::optional<Checkpoint> against_;
    std::string public_key_;
    std::map<Seq, Digest> expected_;  // not reached yet
    Seq first_ = 0;                   // where the walk began; 0: not yet
    Digest last_{};
};

// Reads a digest from hex.
Result<Digest> digest_from(std::string_view text);

}  // namespace parley
