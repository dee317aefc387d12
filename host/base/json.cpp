#include "base/json.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <cmath>
#include <unordered_set>
#include <vector>

namespace parley {

namespace {

// Sees what the parser lets through and two readers of the text could disagree about: a key that
// stands twice in one object, and a number beyond all numbers.
struct Doubts {
    static constexpr std::size_t max_object_size = std::size_t(-1);
    static constexpr std::size_t max_array_size = std::size_t(-1);
    static constexpr std::size_t max_key_size = std::size_t(-1);
    static constexpr std::size_t max_string_size = std::size_t(-1);

    std::vector<std::unordered_set<std::string>> open;
    std::string key;
    bool twice = false, beyond = false;

    using error = boost::system::error_code;
    bool on_document_begin(error&) { return true; }
    bool on_document_end(error&) { return true; }
    bool on_object_begin(error&) {
        open.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, error&) {
        open.pop_back();
        return true;
    }
    bool on_array_begin(error&) { return true; }
    bool on_array_end(std::size_t, error&) { return true; }
    bool on_key_part(json::string_view part, std::size_t, error&) {
        key.append(part.data(), part.size());
        return true;
    }
    bool on_key(json::string_view part, std::size_t, error&) {
        key.append(part.data(), part.size());
        if (!open.back().insert(std::move(key)).second) twice = true;
        key.clear();
        return !twice;
    }
    bool on_string_part(json::string_view, std::size_t, error&) { return true; }
    bool on_string(json::string_view, std::size_t, error&) { return true; }
    bool on_number_part(json::string_view, error&) { return true; }
    bool on_int64(std::int64_t, json::string_view, error&) { return true; }
    bool on_uint64(std::uint64_t, json::string_view, error&) { return true; }
    bool on_double(double number, json::string_view, error&) {
        beyond = beyond || !std::isfinite(number);
        return !beyond;
    }
    bool on_bool(bool, error&) { return true; }
    bool on_null(error&) { return true; }
    bool on_comment_part(json::string_view, error&) { return true; }
    bool on_comment(json::string_view, error&) { return true; }
};

json::parse_options options() {
    json::parse_options chosen;
    chosen.max_depth = limits::json_depth;
    return chosen;
}

char const* doubt_in(std::string_view text) {
    json::basic_parser<Doubts> parser(options());
    boost::system::error_code error;
    parser.write_some(false, text.data(), text.size(), error);
    if (parser.handler().beyond) return "a number is too large";
    return parser.handler().twice ? "a key stands twice in one JSON object" : nullptr;
}

}  // namespace

Result<json::value> parse_json(std::string_view text) {
    try {
        boost::system::error_code error;
        json::stream_parser parser({}, options());
        auto used = parser.write_some(text.data(), text.size(), error);
        if (!error && used == text.size()) parser.finish(error);
        if (error || used < text.size())
            return Error(Fault::bad_input, "not JSON at byte " + std::to_string(used) + ": " +
                                               (error ? error.message() : "text after the value"));
        if (auto const* doubt = doubt_in(text)) return Error(Fault::bad_input, doubt);
        return parser.release();
    } catch (std::exception const& failure) {
        return Error(Fault::bad_input, std::string("not JSON: ") + failure.what());
    }
}

json::value const* member(json::value const& object, std::string_view key) {
    auto const* fields = object.if_object();
    return fields ? fields->if_contains({key.data(), key.size()}) : nullptr;
}

std::string_view text_at(json::value const& object, std::string_view key,
                         std::string_view fallback) {
    auto const* value = member(object, key);
    if (!value || !value->is_string()) return fallback;
    auto const& text = value->get_string();
    return {text.data(), text.size()};
}

std::int64_t int_at(json::value const& object, std::string_view key, std::int64_t fallback) {
    auto const* value = member(object, key);
    return value && value->is_int64() ? value->get_int64() : fallback;
}

bool bool_at(json::value const& object, std::string_view key, bool fallback) {
    auto const* value = member(object, key);
    return value && value->is_bool() ? value->get_bool() : fallback;
}

std::string to_text(json::value const& value) {
    return json::serialize(value);
}

void append_quoted(std::string& out, std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                out += "\\u00";
                out += digits[c >> 4];
                out += digits[c & 15];
        }
    }
    out.append(text, plain, text.size() - plain);
    out += '"';
}

void append_pointer(std::string& pointer, std::string_view name) {
    pointer += '/';
    for (char c : name)
        if (c == '~' || c == '/')
            pointer += c == '~' ? "~0" : "~1";
        else
            pointer += c;
}

void JsonWriter::comma() {
    if (!first_) text_ += ',';
    first_ = false;
}

JsonWriter& JsonWriter::begin(char bracket) {
    comma();
    text_ += bracket;
    first_ = true;
    return *this;
}

JsonWriter& JsonWriter::end(char bracket) {
    text_ += bracket;
    first_ = false;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    comma();
    append_quoted(text_, name);
    text_ += ':';
    first_ = true;
    return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
    comma();
    append_quoted(text_, text);
    return *this;
}

JsonWriter& JsonWriter::number(std::int64_t number) {
    comma();
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.append(digits, end);
    return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
    comma();
    text_ += value ? "true" : "false";
    return *this;
}

JsonWriter& JsonWriter::null() {
    comma();
    text_ += "null";
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    comma();
    text_ += json;
    return *this;
}

JsonWriter& JsonWriter::usd(std::int64_t nano_usd) {
    comma();
    auto size = nano_usd < 0 ? 0 - static_cast<std::uint64_t>(nano_usd)
                             : static_cast<std::uint64_t>(nano_usd);
    if (nano_usd < 0) text_ += '-';
    text_ += std::to_string(size / 1'000'000'000);
    if (auto rest = size % 1'000'000'000) {
        auto digits = std::to_string(rest + 1'000'000'000);
        digits[0] = '.';
        digits.erase(digits.find_last_not_of('0') + 1);
        text_ += digits;
    }
    return *this;
}

}  // namespace parley
