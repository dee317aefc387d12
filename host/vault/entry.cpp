#include "vault/entry.hpp"

namespace parley {

namespace {

constexpr std::size_t padding_bytes = 64, number_bytes = 8, length_bytes = 4;

void append_number(std::string& out, std::uint64_t number, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 255);
}

void append_text(std::string& out, std::string_view text) {
    append_number(out, text.size(), length_bytes);
    out += text;
}

struct Reader {
    std::string_view rest;
    bool sound = true;

    std::string_view take(std::size_t size) {
        if (rest.size() < size) {
            sound = false;
            rest = {};
            return {};
        }
        auto found = rest.substr(0, size);
        rest.remove_prefix(size);
        return found;
    }
    std::uint64_t number(std::size_t bytes) {
        auto text = take(bytes);
        std::uint64_t value = 0;
        for (auto at = text.rbegin(); at != text.rend(); ++at)
            value = value << 8 | static_cast<unsigned char>(*at);
        return value;
    }
    std::string_view text() { return take(number(length_bytes)); }
};

}  // namespace

std::string plain_of(Entry const& facts, std::string_view value) {
    auto size =
        3 * number_bytes + 3 * length_bytes + facts.scope.size() + facts.key.size() + value.size();
    auto padded = (size + padding_bytes - 1) / padding_bytes * padding_bytes;
    std::string plain;
    plain.reserve(padded);
    append_number(plain, facts.version, number_bytes);
    append_number(plain, static_cast<std::uint64_t>(facts.set_us), number_bytes);
    append_number(plain, facts.retired_in, number_bytes);
    append_text(plain, facts.scope);
    append_text(plain, facts.key);
    append_text(plain, value);
    plain.resize(padded, '\0');
    return plain;
}

Result<std::string_view> read_plain(std::string_view plain, Entry& facts) {
    Reader in{plain};
    facts.version = in.number(number_bytes);
    facts.set_us = static_cast<std::int64_t>(in.number(number_bytes));
    facts.retired_in = in.number(number_bytes);
    facts.scope = in.text();
    facts.key = in.text();
    auto value = in.text();
    if (!in.sound) return Error(Fault::bad_input, "an entry is cut short");
    return value;
}

}  // namespace parley
