#pragma once

// JSON for plugin authors: a bounded reader and a writer. The reader refuses invalid UTF-8, deep
// nesting, duplicate keys and trailing bytes, and keeps the exact text of every value. It never
// throws on what it reads.
#include "parley/text.hpp"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace parley {
inline namespace sdk_1 {

struct JsonLimits {
    std::size_t bytes = 32u << 20;   // the largest message of the ABI
    std::size_t values = 1u << 20;   // each costs about fifty bytes of memory
    std::size_t depth = 64;
};

namespace detail {
struct JsonDocument;
class JsonReader;
}  // namespace detail

// One value of a document: a cheap handle that keeps the whole document alive. A value that is not
// there is a Json too, of kind `missing`, so that a path can be walked without asking at each step:
//     auto path = request["arguments"]["path"].text();
// Views returned by text(), key() and raw() live as long as some Json of the same document.
class Json {
public:
    enum class Kind : std::uint8_t { missing, null, boolean, number, string, array, object };

    Json() = default;

    // A missing value when `text` is not one JSON document within `limits`; `why` then says what
    // is wrong, and at which offset.
    static Json parse(std::string_view text, std::string* why = nullptr, JsonLimits limits = {});

    Kind kind() const;
    bool exists() const { return kind() != Kind::missing; }
    explicit operator bool() const { return exists(); }
    bool is_null() const { return kind() == Kind::null; }
    bool is_boolean() const { return kind() == Kind::boolean; }
    bool is_number() const { return kind() == Kind::number; }
    bool is_string() const { return kind() == Kind::string; }
    bool is_array() const { return kind() == Kind::array; }
    bool is_object() const { return kind() == Kind::object; }

    // The fallback is for a value that is missing or of another kind.
    std::string_view text(std::string_view fallback = "") const;
    bool boolean(bool fallback = false) const;
    double number(double fallback = 0) const;
    // Only a number written without fraction and exponent, within 64 bits.
    std::int64_t integer(std::int64_t fallback = 0) const;

    // The exact bytes of this value in the document.
    std::string_view raw() const;

    // Items of an array or members of an object; 0 for anything else.
    std::size_t size() const;
    Json operator[](std::string_view key) const;
    // The name under which this value stands in its object.
    std::string_view key() const;

    // Items of an array, or values of an object in the order of the text.
    class Iterator;
    Iterator begin() const;
    Iterator end() const;

private:
    friend class detail::JsonReader;
    using Document = std::shared_ptr<detail::JsonDocument const>;
    Json(Document document, std::uint32_t index)
        : document_(std::move(document)), index_(index) {}

    Document document_;
    std::uint32_t index_ = 0;
};

namespace detail {

// Offsets into the text, or into `unescaped` for a string that held escapes.
struct JsonSpan {
    std::uint32_t begin = 0, size = 0;
    bool unescaped = false;
};

struct JsonNode {
    Json::Kind kind = Json::Kind::null;
    std::uint32_t begin = 0, end = 0;  // exact text
    std::uint32_t next = 0;            // the sibling that follows, 0 for none
    std::uint32_t children = 0;        // the first child is the node after this one
    JsonSpan text, key;
};

struct JsonDocument {
    std::string text;
    std::string unescaped;
    std::vector<JsonNode> nodes;

    std::string_view view(JsonSpan span) const {
        std::string_view const source = span.unescaped ? unescaped : text;
        return source.substr(span.begin, span.size);
    }
};

// Recursive descent; the depth is bounded, so the stack is too.
class JsonReader {
public:
    JsonReader(JsonDocument& out, JsonLimits limits)
        : out_(out), text_(out.text), limits_(limits) {}

    static Json read(std::string_view text, std::string* why, JsonLimits limits) {
        auto document = std::make_shared<JsonDocument>();
        std::string problem;
        std::size_t at = 0;
        if (text.size() > std::min<std::size_t>(limits.bytes, UINT32_MAX)) {
            problem = "longer than " + std::to_string(limits.bytes) + " bytes";
        } else {
            document->text = text;
            JsonReader reader(*document, limits);
            if (reader.whole()) return Json(std::move(document), 0);
            problem = reader.why_;
            at = reader.at_;
        }
        if (why) *why = "not valid JSON at offset " + std::to_string(at) + ": " + problem;
        return {};
    }

private:
    bool fail(char const* why) {
        if (why_.empty()) why_ = why;
        return false;
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char wanted) {
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }
    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\r' || text_[at_] == '\t')) {
            ++at_;
        }
    }

    bool whole() {
        at_ = utf8_valid_size(text_);
        if (at_ != text_.size()) return fail("not UTF-8");
        at_ = 0;
        skip_space();
        if (!value({}, 1)) return false;
        skip_space();
        return at_ == text_.size() || fail("bytes after the value");
    }

    bool value(JsonSpan key, std::size_t depth) {
        if (depth > limits_.depth) return fail("nested too deeply");
        if (out_.nodes.size() >= limits_.values) return fail("too many values");
        std::size_t const index = out_.nodes.size();
        out_.nodes.push_back({});
        out_.nodes[index].key = key;
        out_.nodes[index].begin = offset();
        bool fine = false;
        switch (peek()) {
            case '{': fine = container(index, depth, Json::Kind::object); break;
            case '[': fine = container(index, depth, Json::Kind::array); break;
            case '"':
                fine = set(index, Json::Kind::string) && string(out_.nodes[index].text);
                break;
            case 't': fine = set(index, Json::Kind::boolean) && word("true"); break;
            case 'f': fine = set(index, Json::Kind::boolean) && word("false"); break;
            case 'n': fine = word("null"); break;
            default: fine = set(index, Json::Kind::number) && number(); break;
        }
        out_.nodes[index].end = offset();
        return fine;
    }

    bool set(std::size_t index, Json::Kind kind) {
        out_.nodes[index].kind = kind;
        return true;
    }
    std::uint32_t offset() const { return static_cast<std::uint32_t>(at_); }

    bool container(std::size_t index, std::size_t depth, Json::Kind kind) {
        set(index, kind);
        bool const named = kind == Json::Kind::object;
        char const close = named ? '}' : ']';
        ++at_;
        skip_space();
        if (take(close)) return true;
        std::size_t last = 0;
        do {
            skip_space();
            JsonSpan key;
            if (named && !member_name(key)) return false;
            std::size_t const child = out_.nodes.size();
            if (!value(key, depth + 1)) return false;
            if (last != 0) out_.nodes[last].next = static_cast<std::uint32_t>(child);
            last = child;
            ++out_.nodes[index].children;
            skip_space();
        } while (take(','));
        if (!take(close)) return fail(named ? "',' or '}' wanted" : "',' or ']' wanted");
        return !named || unique_names(index);
    }

    bool member_name(JsonSpan& key) {
        if (peek() != '"') return fail("a name in quotes wanted");
        if (!string(key)) return false;
        skip_space();
        if (!take(':')) return fail("':' wanted");
        skip_space();
        return true;
    }

    bool unique_names(std::size_t index) {
        std::vector<std::string_view> names;
        names.reserve(out_.nodes[index].children);
        for (std::size_t child = index + 1; names.size() < out_.nodes[index].children;
             child = out_.nodes[child].next) {
            names.push_back(out_.view(out_.nodes[child].key));
        }
        std::sort(names.begin(), names.end());
        bool const twice = std::adjacent_find(names.begin(), names.end()) != names.end();
        return !twice || fail("a name stands twice in one object");
    }

    bool word(std::string_view wanted) {
        if (text_.substr(at_, wanted.size()) != wanted) return fail("a value wanted");
        at_ += wanted.size();
        return true;
    }

    bool digits() {
        std::size_t const start = at_;
        while (peek() >= '0' && peek() <= '9') ++at_;
        return at_ > start;
    }
    bool number() {
        take('-');
        bool const zero = peek() == '0';
        std::size_t const start = at_;
        if (!digits()) return fail("a value wanted");
        if (zero && at_ - start > 1) return fail("a number with a leading zero");
        if (take('.') && !digits()) return fail("digits wanted");
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            if (!digits()) return fail("digits wanted");
        }
        return true;
    }

    // The common string has no escapes and is not copied.
    bool string(JsonSpan& span) {
        std::size_t const start = ++at_;
        while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && !control()) ++at_;
        if (peek() == '"') {
            span = {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(at_ - start),
                    false};
            ++at_;
            return true;
        }
        std::size_t const copy = out_.unescaped.size();
        out_.unescaped.append(text_, start, at_ - start);
        while (at_ < text_.size() && text_[at_] != '"') {
            if (control()) return fail("a control character in a string");
            if (text_[at_] != '\\') {
                out_.unescaped += text_[at_++];
            } else if (!escape()) {
                return false;
            }
        }
        if (!take('"')) return fail("a string without its end");
        span = {static_cast<std::uint32_t>(copy),
                static_cast<std::uint32_t>(out_.unescaped.size() - copy), true};
        return true;
    }
    bool control() const { return static_cast<unsigned char>(text_[at_]) < 0x20; }

    bool escape() {
        static constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        ++at_;
        char const name = peek();
        if (name == 'u') return unicode();
        std::size_t const known = at_ < text_.size() ? names.find(name) : std::string_view::npos;
        if (known == std::string_view::npos) return fail("an unknown escape");
        ++at_;
        out_.unescaped += meanings[known];
        return true;
    }

    bool hex4(std::uint32_t& out) {
        if (!take('u') || at_ + 4 > text_.size()) return fail("four hex digits wanted");
        char const* const first = text_.data() + at_;
        auto const [end, problem] = std::from_chars(first, first + 4, out, 16);
        if (problem != std::errc{} || end != first + 4) return fail("four hex digits wanted");
        at_ += 4;
        return true;
    }

    bool unicode() {
        std::uint32_t code = 0;
        if (!hex4(code)) return false;
        if (code >= 0xDC00 && code < 0xE000) return fail("half of a surrogate pair");
        if (code >= 0xD800 && code < 0xDC00) {
            std::uint32_t low = 0;
            if (!take('\\') || peek() != 'u' || !hex4(low) || low < 0xDC00 || low >= 0xE000) {
                return fail("half of a surrogate pair");
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        append_utf8(code);
        return true;
    }

    void append_utf8(std::uint32_t code) {
        auto put = [&](std::uint32_t byte) { out_.unescaped += static_cast<char>(byte); };
        if (code < 0x80) return put(code);
        if (code < 0x800) {
            put(0xC0 | code >> 6);
        } else {
            if (code < 0x10000) {
                put(0xE0 | code >> 12);
            } else {
                put(0xF0 | code >> 18);
                put(0x80 | (code >> 12 & 0x3F));
            }
            put(0x80 | (code >> 6 & 0x3F));
        }
        put(0x80 | (code & 0x3F));
    }

    JsonDocument& out_;
    std::string_view text_;
    JsonLimits limits_;
    std::size_t at_ = 0;
    std::string why_;
};

}  // namespace detail

class Json::Iterator {
public:
    Iterator(Json::Document document, std::uint32_t index)
        : document_(std::move(document)), index_(index) {}
    Json operator*() const { return Json(document_, index_); }
    Iterator& operator++() {
        index_ = document_->nodes[index_].next;
        return *this;
    }
    bool operator==(Iterator const& other) const { return index_ == other.index_; }

private:
    Json::Document document_;
    std::uint32_t index_;  // 0, which is never a child, is the end
};

inline Json Json::parse(std::string_view text, std::string* why, JsonLimits limits) {
    return detail::JsonReader::read(text, why, limits);
}

inline Json::Kind Json::kind() const {
    return document_ ? document_->nodes[index_].kind : Kind::missing;
}

inline std::string_view Json::text(std::string_view fallback) const {
    return is_string() ? document_->view(document_->nodes[index_].text) : fallback;
}

inline bool Json::boolean(bool fallback) const {
    return is_boolean() ? raw() == "true" : fallback;
}

inline double Json::number(double fallback) const {
    if (!is_number()) return fallback;
    double out = 0;
    std::string_view const digits = raw();
    auto const [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return problem == std::errc{} ? out : fallback;
}

inline std::int64_t Json::integer(std::int64_t fallback) const {
    if (!is_number()) return fallback;
    std::int64_t out = 0;
    std::string_view const digits = raw();
    auto const [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return problem == std::errc{} && end == digits.data() + digits.size() ? out : fallback;
}

inline std::string_view Json::raw() const {
    if (!document_) return {};
    auto const& node = document_->nodes[index_];
    return std::string_view(document_->text).substr(node.begin, node.end - node.begin);
}

inline std::size_t Json::size() const {
    return document_ ? document_->nodes[index_].children : 0;
}

inline std::string_view Json::key() const {
    return document_ ? document_->view(document_->nodes[index_].key) : std::string_view();
}

inline Json::Iterator Json::begin() const {
    return Iterator(document_, size() > 0 ? index_ + 1 : 0);
}
inline Json::Iterator Json::end() const { return Iterator(document_, 0); }

inline Json Json::operator[](std::string_view key) const {
    if (!is_object()) return {};
    for (Json const value : *this) {
        if (value.key() == key) return value;
    }
    return {};
}

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
inline void append_quoted(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
        auto const byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x80) {
            std::size_t const length = utf8_length(text, at);
            out.append(length > 0 ? text.substr(at, length) : std::string_view("\xEF\xBF\xBD"));
            at += std::max<std::size_t>(length, 1);
            continue;
        }
        ++at;
        switch (byte) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (byte < 0x20 || byte == 0x7F) {
                    out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
                } else {
                    out += static_cast<char>(byte);
                }
        }
    }
    out += '"';
}

// A value that is JSON already, for JsonWriter and json_of.
struct JsonRaw {
    std::string_view text;
};

// Writes one JSON document. The caller keeps begin and end paired.
//     JsonWriter out;
//     out.begin('{').key("text").value(text).key("parts").begin('[').value(1).end(']').end('}');
class JsonWriter {
public:
    JsonWriter& begin(char bracket) {
        comma();
        text_ += bracket;
        first_ = true;
        return *this;
    }
    JsonWriter& end(char bracket) {
        text_ += bracket;
        first_ = false;
        return *this;
    }
    JsonWriter& key(std::string_view name) {
        comma();
        append_quoted(text_, name);
        text_ += ':';
        first_ = true;
        return *this;
    }

    JsonWriter& value(std::string_view text) {
        comma();
        append_quoted(text_, text);
        return *this;
    }
    JsonWriter& value(char const* text) { return value(std::string_view(text)); }
    JsonWriter& value(std::string const& text) { return value(std::string_view(text)); }
    JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
    JsonWriter& value(std::integral auto number) { return raw(std::to_string(number)); }
    JsonWriter& value(JsonRaw json) { return raw(json.text); }
    JsonWriter& value(Json const& json) { return raw(json.exists() ? json.raw() : "null"); }
    JsonWriter& null() { return raw("null"); }
    JsonWriter& raw(std::string_view json) {
        comma();
        text_ += json;
        return *this;
    }

    // A member of an object.
    template <class T>
    JsonWriter& pair(std::string_view name, T const& content) {
        return key(name).value(content);
    }

    std::string const& text() const { return text_; }
    std::string take() { return std::move(text_); }

private:
    void comma() {
        if (!first_) text_ += ',';
        first_ = false;
    }
    std::string text_;
    bool first_ = true;
};

namespace detail {
inline void write_pairs(JsonWriter&) {}
template <class T, class... Rest>
void write_pairs(JsonWriter& out, std::string_view name, T const& content, Rest const&... rest) {
    out.pair(name, content);
    write_pairs(out, rest...);
}
}  // namespace detail

// An object from names and values: json_of("type", "text", "text", reply).
template <class... Pairs>
std::string json_of(Pairs const&... pairs) {
    static_assert(sizeof...(pairs) % 2 == 0, "names and values come in pairs");
    JsonWriter out;
    out.begin('{');
    detail::write_pairs(out, pairs...);
    return out.end('}').take();
}

}  // namespace sdk_1
}  // namespace parley
