#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "ledger/walk.hpp"

#include <boost/json/value.hpp>

#include <cstdio>
#include <ctime>
#include <fstream>

namespace parley {

namespace {

constexpr std::string_view checkpoint_start = "{\"checkpoint\":", actor_key = ",\"actor\":",
                           body_key_text = ",\"body\":", prev_key = ",\"prev\":\"",
                           hash_key = "\",\"hash\":\"", line_end = "\"}";
constexpr std::size_t digest_digits = 64;
constexpr std::size_t tail_bytes =
    prev_key.size() + digest_digits + hash_key.size() + digest_digits + line_end.size();

std::int64_t time_from(std::string_view text) {
    std::tm parts{};
    long micro = 0;
    if (std::sscanf(std::string(text).c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%6ldZ", &parts.tm_year,
                    &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec,
                    &micro) != 7)
        return -1;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    return static_cast<std::int64_t>(timegm(&parts)) * 1'000'000 + micro;
}

// How many bytes the object at the start of `text` has; 0 when there is none.
std::size_t object_bytes(std::string_view text) {
    int depth = 0;
    bool quoted = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        char c = text[at];
        if (quoted) {
            if (c == '\\')
                ++at;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return at + 1;
        }
        if (depth == 0) return 0;
    }
    return 0;
}

// A line of an export as a record; strict: it must be the very line that we would write. Actor and
// body are cut out by place, never parsed: they may be as deep as whatever was recorded.
Result<Record> record_from(std::string_view line) {
    Error not_ours(Fault::bad_input, "it is not in the form of an export");
    if (line.size() < tail_bytes) return not_ours;
    auto tail = line.substr(line.size() - tail_bytes);
    auto front = line.substr(0, line.size() - tail_bytes);
    Record record;
    // Quotes inside a string are escaped, so these keys can only be keys.
    auto actor_at = front.find(actor_key), body_at = front.find(body_key_text);
    if (actor_at < body_at) {
        auto rest = front.substr(actor_at + actor_key.size());
        record.actor = rest.substr(0, object_bytes(rest));
        body_at = actor_at + actor_key.size() + record.actor.size();
    }
    if (body_at == std::string_view::npos || !front.substr(body_at).starts_with(body_key_text))
        return not_ours;
    record.body = front.substr(body_at + body_key_text.size());
    TRY(value, parse_json(std::string(front.substr(0, std::min(actor_at, body_at))) + '}'));
    record.seq = static_cast<Seq>(int_at(value, "seq"));
    record.time_us = time_from(text_at(value, "time"));
    record.kind = text_at(value, "kind");
    record.agent = AgentName(text_at(value, "agent"));
    record.session = SessionId(text_at(value, "session"));
    record.turn = int_at(value, "turn");
    record.call = CallId(text_at(value, "call"));
    record.cause = static_cast<Seq>(int_at(value, "cause"));
    TRY(prev, digest_from(tail.substr(prev_key.size(), digest_digits)));
    TRY(hash,
        digest_from(tail.substr(prev_key.size() + digest_digits + hash_key.size(), digest_digits)));
    record.prev = prev;
    record.hash = hash;
    if (to_json(record) != line) return not_ours;
    return record;
}

bool take_line(Walk& walk, std::string_view line) {
    if (line.starts_with(checkpoint_start)) {
        auto checkpoint = parse_checkpoint(line);
        if (!checkpoint || to_json(*checkpoint) != line) return walk.bad("a checkpoint is damaged");
        return walk.expect(*checkpoint);
    }
    auto record = record_from(line);
    if (!record) return walk.bad(record.error().what);
    return walk.take(*record);
}

}  // namespace

Verdict verify_export(std::filesystem::path const& file, std::optional<Checkpoint> const& against,
                      std::string_view public_key) {
    Walk walk(against, public_key);
    Verdict unreadable;
    unreadable.kind = Verdict::Kind::unreadable;
    unreadable.detail = file.string() + " cannot be read";
    std::ifstream in(file, std::ios::binary);
    if (!in) return unreadable;
    std::string line;
    while (walk.is_sound() && std::getline(in, line))
        if (!take_line(walk, line)) return walk.end();
    if (in.bad()) return unreadable;
    if (walk.is_sound() && walk.next() == 1 && !against) {
        unreadable.detail = file.string() + " holds no records";
        return unreadable;
    }
    return walk.end();
}

void export_lines(Ledger const& ledger, Seq from, Seq to,
                  std::function<bool(std::string_view line)> const& out) {
    // Checkpoints first: who reads on can check each record against them as it passes.
    bool goes_on = true;
    auto last = std::min(to, ledger.durable_head());
    ledger.checkpoints(from, last, [&](Checkpoint const& c) { return goes_on = out(to_json(c)); });
    if (goes_on)
        ledger.records(from, last, [&](Record const& record) { return out(to_json(record)); });
}

}  // namespace parley
