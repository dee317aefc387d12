// What JSON Schema says of text and numbers, and of any value as a whole.
#include "base/decimal.hpp"
#include "base/schema_check.hpp"
#include "base/text.hpp"

namespace parley {

namespace {

std::string_view view(json::string const& text) {
    return {text.data(), text.size()};
}

bool has_type(json::value const& value, std::string_view type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_bool();
    if (type == "null") return value.is_null();
    if (!value.is_number()) return false;
    return type == "number" || Decimal::of(value).is_whole();
}

// As compared_to(): the value's characters with the count that the rule says.
int length_order(json::value const& rule, json::string const& text) {
    std::size_t count = 0;
    for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    return Decimal::of(json::value(count)).compared_to(Decimal::of(rule));
}

int order(json::value const& rule, json::value const& value) {
    return Decimal::of(value).compared_to(Decimal::of(rule));
}

}  // namespace

bool SchemaCheck::type(Rule const& rule, SchemaPlace const& place) {
    if (rule.is_string() && has_type(place.value, view(rule.get_string()))) return true;
    if (rule.is_array())
        for (auto const& one : rule.get_array())
            if (has_type(place.value, view(one.get_string()))) return true;
    return fails_showing(rule, place, "it must be of type");
}

bool SchemaCheck::constant(Rule const& rule, SchemaPlace const& place) {
    return same_json(rule, place.value, steps_) || fails_showing(rule, place, "it must be");
}

bool SchemaCheck::enumeration(Rule const& rule, SchemaPlace const& place) {
    for (auto const& one : rule.get_array())
        if (same_json(one, place.value, steps_)) return true;
    return fails_showing(rule, place, "it must be one of");
}

bool SchemaCheck::shortest(Rule const& rule, SchemaPlace const& place) {
    auto const* text = place.value.if_string();
    if (!text) return true;
    if (!steps_.take_bytes(text->size())) return false;
    return length_order(rule, *text) >= 0 ||
           fails_showing(rule, place, "its length must be at least");
}

bool SchemaCheck::longest(Rule const& rule, SchemaPlace const& place) {
    auto const* text = place.value.if_string();
    if (!text) return true;
    if (!steps_.take_bytes(text->size())) return false;
    return length_order(rule, *text) <= 0 ||
           fails_showing(rule, place, "its length must be at most");
}

bool SchemaCheck::pattern(Rule const& rule, SchemaPlace const& place) {
    auto const* text = place.value.if_string();
    return !text || place.node.pattern->found_in(view(*text), steps_) ||
           fails_showing(rule, place, "it must match");
}

bool SchemaCheck::minimum(Rule const& rule, SchemaPlace const& place) {
    return !place.value.is_number() || order(rule, place.value) >= 0 ||
           fails_showing(rule, place, "it must be at least");
}

bool SchemaCheck::maximum(Rule const& rule, SchemaPlace const& place) {
    return !place.value.is_number() || order(rule, place.value) <= 0 ||
           fails_showing(rule, place, "it must be at most");
}

bool SchemaCheck::above(Rule const& rule, SchemaPlace const& place) {
    return !place.value.is_number() || order(rule, place.value) > 0 ||
           fails_showing(rule, place, "it must be more than");
}

bool SchemaCheck::below(Rule const& rule, SchemaPlace const& place) {
    return !place.value.is_number() || order(rule, place.value) < 0 ||
           fails_showing(rule, place, "it must be less than");
}

bool SchemaCheck::multiple(Rule const& rule, SchemaPlace const& place) {
    constexpr std::size_t division = 16;  // in steps: a tall exponent makes it long
    if (!place.value.is_number()) return true;
    if (!steps_.take(division)) return false;
    return Decimal::of(place.value).is_multiple_of(Decimal::of(rule)) ||
           fails_showing(rule, place, "it must be a multiple of");
}

}  // namespace parley
