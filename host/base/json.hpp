#pragma once

// JSON at the doors: hostile text in, exact text out. Parsing is bounded and refuses duplicate
// keys; writing goes straight into one string, since most of what we write is written once.
#include "base/result.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace parley {

namespace json = boost::json;

// Refuses invalid UTF-8, depth over limits::json_depth, duplicate keys and trailing bytes.
// The message names the offset.
Result<json::value> parse_json(std::string_view text);

// Members of an object that may be missing or of another kind: the fallback then.
std::string_view text_at(json::value const& object, std::string_view key,
                         std::string_view fallback = "");
std::int64_t int_at(json::value const& object, std::string_view key, std::int64_t fallback = 0);
bool bool_at(json::value const& object, std::string_view key, bool fallback = false);
// Null when missing.
json::value const* member(json::value const& object, std::string_view key);

std::string to_text(json::value const& value);

// Appends `text` as a JSON string, quotes included. `text` is UTF-8.
void append_quoted(std::string& out, std::string_view text);

// Appends one step of a JSON pointer: "/" and the name, escaped.
void append_pointer(std::string& pointer, std::string_view name);

// Writes one JSON document into a string of its own. The caller keeps begin and end paired.
//   JsonWriter out;
//   out.begin('{').key("text").string(text).key("seq").number(7).end('}');
class JsonWriter {
public:
    JsonWriter& begin(char bracket);  // '{' or '['
    JsonWriter& end(char bracket);    // '}' or ']'
    JsonWriter& key(std::string_view name);
    JsonWriter& string(std::string_view text);
    JsonWriter& number(std::int64_t number);
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    JsonWriter& raw(std::string_view json);  // a value that is JSON already
    // Money in nano-USD as a decimal number of USD, exactly.
    JsonWriter& usd(std::int64_t nano_usd);

    // Shorthands for the commonest lines.
    JsonWriter& pair(std::string_view name, std::string_view text) { return key(name).string(text); }
    JsonWriter& pair(std::string_view name, std::int64_t value) { return key(name).number(value); }

    std::string take() { return std::move(text_); }
    std::string const& text() const { return text_; }

private:
    void comma();
    std::string text_;
    bool first_ = true;
};

}  // namespace parley
