#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "ledger/layout.hpp"
#include "ledger/ledger.hpp"

#include <boost/json/value.hpp>

#include <cstring>
#include <fstream>

namespace parley {

namespace {

Result<Digest> digest_from(std::string_view text) {
    auto bytes = from_hex(text);
    Digest digest{};
    if (!bytes || bytes->size() != digest.size()) return Error(Fault::bad_input, "not a digest");
    std::memcpy(digest.data(), bytes->data(), digest.size());
    return digest;
}

// The text of a member whose value is an object, exactly as it stands in a line that we wrote.
std::string raw_object(std::string_view line, std::string_view key) {
    auto at = line.find('"' + std::string(key) + "\":{");
    if (at == std::string_view::npos) return {};
    at += key.size() + 3;
    int depth = 0;
    bool quoted = false;
    for (auto end = at; end < line.size(); ++end) {
        char c = line[end];
        if (quoted) {
            if (c == '\\') ++end;
            else if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return std::string(line.substr(at, end - at + 1));
        }
    }
    return {};
}

std::int64_t time_from(std::string_view text) {
    std::tm parts{};
    long micro = 0;
    if (std::sscanf(std::string(text).c_str(), "%d-%d-%dT%d:%d:%d.%6ldZ", &parts.tm_year,
                    &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec,
                    &micro) != 7)
        return -1;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    return static_cast<std::int64_t>(timegm(&parts)) * 1'000'000 + micro;
}

// A line of an export as a record; strict: it must be the very line that we would write.
Result<Record> record_from(std::string_view line) {
    TRY(value, parse_json(line));
    Record record;
    record.seq = static_cast<Seq>(int_at(value, "seq"));
    record.time_us = time_from(text_at(value, "time"));
    record.kind = text_at(value, "kind");
    record.agent = AgentName(text_at(value, "agent"));
    record.session = SessionId(text_at(value, "session"));
    record.turn = int_at(value, "turn");
    record.call = CallId(text_at(value, "call"));
    record.cause = static_cast<Seq>(int_at(value, "cause"));
    // Before the body there is nothing but our own words, the actor and ids.
    auto body_at = line.find("\"body\":{");
    if (body_at == std::string_view::npos) return Error(Fault::bad_input, "no body");
    record.actor = raw_object(line.substr(0, body_at), "actor");
    record.body = raw_object(line.substr(body_at), "body");
    TRY(prev, digest_from(text_at(value, "prev")));
    TRY(hash, digest_from(text_at(value, "hash")));
    record.prev = prev;
    record.hash = hash;
    if (to_json(record) != line) return Error(Fault::bad_input, "not in the form of an export");
    return record;
}

// Follows a chain record by record.
class Walk {
public:
    explicit Walk(std::optional<Checkpoint> const& against) : against_(against) {}

    bool take(Record const& record) {
        if (started_ && record.seq != verdict.checked + 1)
            return bad(verdict.checked + 1, "record " + std::to_string(verdict.checked + 1) + " is missing");
        if (!started_ && record.seq == 1 && record.prev != Digest{}) return bad(1, "it has a predecessor");
        if (started_ && record.prev != last_) return bad(record.seq, "it does not follow its predecessor");
        if (hash_of(record) != record.hash) return bad(record.seq, "it is not what was hashed");
        if (against_ && against_->seq == record.seq && against_->hash != record.hash)
            return bad(record.seq, "it is not the record of the checkpoint");
        if (against_ && against_->seq == record.seq) reached_ = true;
        started_ = true;
        last_ = record.hash;
        verdict.checked = record.seq;
        return true;
    }

    bool bad(Seq seq, std::string why) {
        verdict.kind = Verdict::Kind::tampered;
        verdict.first_bad = seq;
        verdict.detail = std::move(why);
        return false;
    }

    Verdict end() {
        if (verdict.kind == Verdict::Kind::sound && against_ && !reached_) {
            verdict.kind = Verdict::Kind::shorter;
            verdict.detail = "it ends at " + std::to_string(verdict.checked) +
                             ", before the checkpoint at " + std::to_string(against_->seq);
        }
        return verdict;
    }

    Verdict verdict;

private:
    std::optional<Checkpoint> const& against_;
    Digest last_{};
    bool started_ = false, reached_ = false;
};

}  // namespace

struct Verification::Inside {
    Ledger const& ledger;
    std::optional<Checkpoint> against;
    Seq last;
    Walk walk;
    bool over = false;

    Inside(Ledger const& ledger, std::optional<Checkpoint> given)
        : ledger(ledger), against(std::move(given)), last(ledger.durable_head()), walk(against) {}
};

Verification::Verification(Ledger const& ledger, std::optional<Checkpoint> against)
    : inside_(std::make_unique<Inside>(ledger, std::move(against))) {}

Verification::~Verification() = default;

bool Verification::go_on(std::size_t records) {
    auto& in = *inside_;
    auto& verdict = in.walk.verdict;
    if (in.over) return false;
    auto first = verdict.checked + 1, until = std::min<Seq>(in.last, verdict.checked + records);
    in.ledger.records(first, until, [&](Record const& record) { return in.walk.take(record); });
    if (verdict.kind == Verdict::Kind::sound && verdict.checked < until)
        in.walk.bad(verdict.checked + 1, "it cannot be read");
    in.over = verdict.kind != Verdict::Kind::sound || until == in.last;
    return !in.over;
}

Verdict Verification::verdict() const { return inside_->walk.end(); }

Verdict verify(Ledger const& ledger, std::optional<Checkpoint> const& against) {
    Verification walk(ledger, against);
    while (walk.go_on(10'000)) {
    }
    return walk.verdict();
}

Verdict verify_export(std::filesystem::path const& file, std::optional<Checkpoint> const& against) {
    std::ifstream in(file);
    Walk walk(against);
    if (!in) {
        walk.verdict.kind = Verdict::Kind::unreadable;
        walk.verdict.detail = file.string() + " cannot be read";
        return walk.verdict;
    }
    std::vector<Checkpoint> checkpoints;
    for (std::string line; std::getline(in, line);) {
        if (line.empty()) continue;
        if (line.starts_with("{\"checkpoint\":")) {
            if (auto checkpoint = parse_checkpoint(line)) checkpoints.push_back(std::move(*checkpoint));
            continue;
        }
        auto record = record_from(line);
        if (!record) {
            walk.bad(walk.verdict.checked + 1, record.error().what);
            return walk.end();
        }
        for (auto const& checkpoint : checkpoints)
            if (checkpoint.seq == record->seq && checkpoint.hash != record->hash) {
                walk.bad(record->seq, "it is not the record of a checkpoint in the file");
                return walk.end();
            }
        if (!walk.take(*record)) return walk.end();
    }
    return walk.end();
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

void export_lines(Ledger const& ledger, Seq from, Seq to,
                  std::function<bool(std::string_view line)> const& out) {
    // Checkpoints first: who reads on can check each record against them as it passes.
    bool goes_on = true;
    for (auto const& checkpoint : ledger.checkpoints(1'000'000))
        if (goes_on && checkpoint.seq >= from && checkpoint.seq <= to)
            goes_on = out(to_json(checkpoint));
    if (!goes_on) return;
    ledger.records(from, to, [&](Record const& record) { return out(to_json(record)); });
}

}  // namespace parley
