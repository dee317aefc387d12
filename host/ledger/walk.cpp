#include "ledger/walk.hpp"

namespace parley {

Walk::Walk(std::optional<Checkpoint> against, std::string_view public_key)
    : against_(std::move(against)), public_key_(public_key) {
    if (!against_) return;
    bool is_signed = !against_->signature.empty() || !public_key_.empty();
    if (is_signed && !is_genuine(*against_)) {
        verdict_.kind = Verdict::Kind::unreadable;
        verdict_.detail = "the checkpoint to compare with is not the one that was signed";
    } else if (!public_key_.empty() && against_->public_key != public_key_) {
        verdict_.kind = Verdict::Kind::unreadable;
        verdict_.detail = "the checkpoint to compare with is signed by another key";
    }
}

bool Walk::expect(Checkpoint const& checkpoint) {
    auto name = "the checkpoint at " + std::to_string(checkpoint.seq);
    if (!is_genuine(checkpoint))
        return bad_at(checkpoint.seq, name + " is not the one that was signed");
    if (!public_key_.empty() && checkpoint.public_key != public_key_)
        return bad_at(checkpoint.seq, name + " is signed by another key");
    auto [there, is_new] = expected_.try_emplace(checkpoint.seq, checkpoint.hash);
    if (!is_new && there->second != checkpoint.hash)
        return bad_at(checkpoint.seq, "two checkpoints contradict each other");
    return true;
}

bool Walk::take(Record const& record) {
    if (record.seq == 0) return bad("it has no number");
    if (first_ && record.seq != next())
        return bad("record " + std::to_string(next()) + " is missing");
    if (record.seq == 1 && record.prev != Digest{}) return bad_at(1, "it has a predecessor");
    if (first_ && record.prev != last_)
        return bad_at(record.seq, "it does not follow its predecessor");
    if (hash_of(record) != record.hash) return bad_at(record.seq, "it is not what was hashed");
    if (against_ && against_->seq == record.seq && against_->hash != record.hash)
        return bad_at(record.seq, "it is not the record of the checkpoint");
    if (!first_) first_ = record.seq;
    // What lies before the first record of an excerpt is not for this walk to judge.
    expected_.erase(expected_.begin(), expected_.lower_bound(record.seq));
    if (auto found = expected_.find(record.seq); found != expected_.end()) {
        if (found->second != record.hash)
            return bad_at(record.seq, "it is not the record of a checkpoint");
        expected_.erase(found);
    }
    last_ = record.hash;
    verdict_.checked = record.seq;
    return true;
}

bool Walk::bad(std::string why) {
    return bad_at(next(), std::move(why));
}

bool Walk::bad_at(Seq seq, std::string why) {
    verdict_.kind = Verdict::Kind::tampered;
    verdict_.first_bad = seq;
    verdict_.detail = std::move(why);
    return false;
}

Verdict Walk::end() const {
    auto verdict = verdict_;
    if (!is_sound()) return verdict;
    auto shorter = [&](std::string detail) {
        verdict.kind = Verdict::Kind::shorter;
        verdict.detail = std::move(detail);
    };
    auto ends = "it ends at " + std::to_string(verdict.checked) + ", before the checkpoint at ";
    if (against_ && against_->seq > verdict.checked)
        shorter(ends + std::to_string(against_->seq));
    else if (against_ && against_->seq < first_)
        shorter("it begins at " + std::to_string(first_) + ", after the checkpoint at " +
                std::to_string(against_->seq));
    else if (!expected_.empty())
        shorter(ends + std::to_string(expected_.rbegin()->first));
    return verdict;
}

}  // namespace parley
