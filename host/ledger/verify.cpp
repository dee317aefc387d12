#include "base/json.hpp"
#include "ledger/inside.hpp"
#include "ledger/walk.hpp"

#include <algorithm>

namespace parley {

char const* name_of(Verdict::Kind kind) {
    constexpr char const* names[] = {"sound", "tampered", "shorter", "unreadable"};
    return names[static_cast<int>(kind)];
}

std::string to_json(Verdict const& verdict) {
    JsonWriter out;
    out.begin('{').pair("verdict", name_of(verdict.kind));
    out.pair("checked", static_cast<std::int64_t>(verdict.checked));
    if (verdict.first_bad) out.pair("first_bad", static_cast<std::int64_t>(verdict.first_bad));
    if (!verdict.detail.empty()) out.pair("detail", verdict.detail);
    return out.end('}').take();
}

struct Verification::Inside {
    Ledger const& ledger;
    Seq last;
    Walk walk;
    bool over = false;
};

Verification::Verification(Ledger const& ledger, std::optional<Checkpoint> against)
    : inside_(new Inside{ledger, ledger.durable_head(),
                         Walk(std::move(against), ledger.inside_->options.signer.public_key)}) {
    inside_->over = !inside_->walk.is_sound();
}

Verification::~Verification() = default;

bool Verification::go_on(std::size_t records) {
    auto& in = *inside_;
    if (in.over) return false;
    auto first = in.walk.next(), until = std::min<Seq>(in.last, first - 1 + records);
    in.ledger.checkpoints(first, until, [&](Checkpoint const& c) { return in.walk.expect(c); });
    if (in.walk.is_sound())
        in.ledger.records(first, until, [&](Record const& record) { return in.walk.take(record); });
    if (in.walk.is_sound() && in.walk.next() <= until) in.walk.bad("it cannot be read");
    in.over = !in.walk.is_sound() || until == in.last;
    if (in.over && in.walk.is_sound()) {
        // Signed, and of a record that is not there.
        in.ledger.checkpoints(in.last + 1, ~Seq{0}, [&](Checkpoint const& c) {
            // The ledger goes on while the walk is under way.
            return c.seq <= in.ledger.durable_head() || in.walk.expect(c);
        });
    }
    return !in.over;
}

Verdict Verification::verdict() const {
    return inside_->walk.end();
}

Verdict verify(Ledger const& ledger, std::optional<Checkpoint> const& against) {
    Verification walk(ledger, against);
    while (walk.go_on(10'000)) {
    }
    return walk.verdict();
}

}  // namespace parley
