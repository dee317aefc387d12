#include "base/json.hpp"
#include "base/text.hpp"
#include "ledger/layout.hpp"
#include "ledger/ledger.hpp"

#include <cstring>

namespace parley {

namespace {

std::string_view bytes_of(Digest const& digest) {
    return {reinterpret_cast<char const*>(digest.data()), digest.size()};
}

void append_field(std::string& out, std::string_view bytes) {
    auto size = static_cast<std::uint32_t>(bytes.size());
    for (int i = 0; i < 4; ++i) out += static_cast<char>(size >> (8 * i) & 255);
    out += bytes;
}

void append_field(std::string& out, std::int64_t number) {
    char bytes[8];
    for (int i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i) & 255);
    append_field(out, std::string_view(bytes, 8));
}

// Reads fields back; stays empty-handed once the bytes do not fit.
struct Reader {
    std::string_view rest;
    bool sound = true;

    std::string_view field() {
        if (rest.size() < 4) return fail();
        std::uint32_t size = 0;
        for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(rest[i]);
        if (rest.size() - 4 < size) return fail();
        auto found = rest.substr(4, size);
        rest.remove_prefix(4 + size);
        return found;
    }
    std::int64_t number() {
        auto bytes = field();
        if (bytes.size() != 8) return fail(), 0;
        std::uint64_t value = 0;
        for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
        return static_cast<std::int64_t>(value);
    }
    Digest digest() {
        Digest digest{};
        auto bytes = field();
        if (bytes.size() != digest.size()) return fail(), digest;
        std::memcpy(digest.data(), bytes.data(), digest.size());
        return digest;
    }
    std::string_view fail() {
        sound = false;
        rest = {};
        return {};
    }
};

constexpr std::string_view domain = "parley.record/1";

// In JSON a raw line break can only stand between tokens.
void put_on_one_line(std::string& json) {
    for (char& c : json)
        if (c == '\n' || c == '\r') c = ' ';
}

}  // namespace

std::string canonical(Record const& r) {
    std::string out;
    out.reserve(160 + r.kind.size() + r.session.text.size() + r.actor.size() + r.body.size());
    append_field(out, domain);
    append_field(out, static_cast<std::int64_t>(r.seq));
    append_field(out, r.time_us);
    append_field(out, std::string_view(r.kind));
    append_field(out, std::string_view(r.agent.text));
    append_field(out, std::string_view(r.session.text));
    append_field(out, r.turn);
    append_field(out, std::string_view(r.call.text));
    append_field(out, static_cast<std::int64_t>(r.cause));
    append_field(out, std::string_view(r.actor));
    append_field(out, std::string_view(r.body));
    append_field(out, bytes_of(r.prev));
    return out;
}

Digest hash_of(Record const& record) {
    return blake2b(canonical(record));
}

std::optional<Record> decode_record(std::string_view stored) {
    Reader in{stored};
    if (in.field() != domain) return {};
    Record r;
    r.seq = static_cast<Seq>(in.number());
    r.time_us = in.number();
    r.kind = in.field();
    r.agent = AgentName(in.field());
    r.session = SessionId(in.field());
    r.turn = in.number();
    r.call = CallId(in.field());
    r.cause = static_cast<Seq>(in.number());
    r.actor = in.field();
    r.body = in.field();
    r.prev = in.digest();
    if (!in.sound || in.rest.size() != r.hash.size()) return {};
    std::memcpy(r.hash.data(), in.rest.data(), r.hash.size());
    return r;
}

std::string to_json(Record const& r) {
    JsonWriter out;
    out.begin('{').pair("seq", static_cast<std::int64_t>(r.seq)).pair("time", iso_time(r.time_us));
    out.pair("kind", r.kind);
    if (!r.agent.empty()) out.pair("agent", r.agent.text);
    if (!r.session.empty()) out.pair("session", r.session.text);
    if (r.turn) out.pair("turn", r.turn);
    if (!r.call.empty()) out.pair("call", r.call.text);
    if (r.cause) out.pair("cause", static_cast<std::int64_t>(r.cause));
    if (!r.actor.empty()) out.key("actor").raw(r.actor);
    out.key("body").raw(r.body);
    return out.pair("prev", hex(r.prev)).pair("hash", hex(r.hash)).end('}').take();
}

Seq Batch::record(Draft draft) {
    auto record = std::make_shared<Record>();
    static_cast<Draft&>(*record) = std::move(draft);
    record->seq = next_++;
    put_on_one_line(record->actor);
    put_on_one_line(record->body);
    records_.push_back(std::move(record));
    return next_ - 1;
}

void Batch::put(Table table, std::string_view key, std::string value) {
    add(row_key(table, key), std::make_shared<std::string const>(std::move(value)));
}

void Batch::erase(Table table, std::string_view key) {
    add(row_key(table, key), nullptr);
}

}  // namespace parley
