// JSON as plugins in C read it: whatever the bytes are, it says the same of them as the reader for
// C++, and what it hands out stays within the text.
#include "target.hpp"

#include <parley/json.h>
#include <parley/json.hpp>

#include <vector>

namespace {

constexpr std::size_t values_most = 4096;

void same(parley_json_value c, parley::Json const& cpp) {
    using Kind = parley::Json::Kind;
    static constexpr Kind kinds[] = {Kind::missing, Kind::null,   Kind::boolean, Kind::boolean,
                                     Kind::number,  Kind::string, Kind::array,   Kind::object};
    must(kinds[parley_json_kind(c)] == cpp.kind(), "both see the same kind");
    std::size_t size = 0;
    char const* const raw = parley_json_raw(c, &size);
    must(std::string_view(raw, size) == cpp.raw(), "both see the same bytes");
    must(parley_json_integer(c, 7) == cpp.integer(7), "both see the same integer");
    std::vector<char> text(size + 8);
    if (parley_json_kind(c) == PARLEY_JSON_STRING) {
        auto const length = parley_json_text(c, text.data(), text.size());
        bool const has_nul = cpp.text().find('\0') != std::string_view::npos;
        must(has_nul == (length == PARLEY_JSON_NONE), "a text without NUL is given");
        if (!has_nul)
            must(std::string_view(text.data(), length) == cpp.text(), "both see the same text");
    }
    must(parley_json_count(c) == cpp.size(), "both see the same children");
    auto child = parley_json_first(c);
    for (parley::Json const other : cpp) {
        std::string const key(other.key());
        if (cpp.is_object() && key.find('\0') == std::string::npos)
            must(parley_json_get(c, key.c_str()).index == child.index, "a member has its name");
        same(child, other);
        child = parley_json_next(child);
    }
    must(child.document == nullptr, "both end at the same child");
}

}  // namespace

void try_bytes(std::string_view bytes) {
    static std::vector<parley_json_node> nodes(values_most);
    parley_json document;
    bool const fine =
        parley_json_read(&document, bytes.data(), bytes.size(), nodes.data(), nodes.size()) == 1;
    must(fine == (document.why == nullptr), "a refusal says why");
    parley::JsonLimits limits;
    limits.values = values_most;
    auto const other = parley::Json::parse(bytes, nullptr, limits);
    must(fine == other.exists(), "both take the same texts");
    same(parley_json_root(&document), other);
}
