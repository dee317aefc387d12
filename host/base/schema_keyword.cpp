#include "base/schema_keyword.hpp"

#include "base/decimal.hpp"
#include "base/schema_check.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <iterator>

namespace parley {

namespace {

using enum Vocabulary;

constexpr Keyword keywords[] = {
    {"$schema", Form::dialect, core},
    {"$vocabulary", Form::any, core},
    {"$id", Form::identifier, core},
    {"$anchor", Form::anchor, core},
    {"$dynamicAnchor", Form::anchor, core},
    {"$ref", Form::reference, core, &SchemaCheck::reference},
    {"$dynamicRef", Form::reference, core, &SchemaCheck::dynamic_reference},
    {"$defs", Form::named_schemas, core},
    {"definitions", Form::named_schemas, core},  // as $defs was called once
    {"$comment", Form::text, core},

    {"type", Form::type, validation, &SchemaCheck::type},
    {"const", Form::any, validation, &SchemaCheck::constant},
    {"enum", Form::list, validation, &SchemaCheck::enumeration},

    {"allOf", Form::schemas, applicator, &SchemaCheck::all_of},
    {"anyOf", Form::schemas, applicator, &SchemaCheck::any_of},
    {"oneOf", Form::schemas, applicator, &SchemaCheck::one_of},
    {"not", Form::schema, applicator, &SchemaCheck::not_this},
    {"if", Form::schema, applicator, &SchemaCheck::condition},
    {"then", Form::schema, applicator},
    {"else", Form::schema, applicator},

    {"required", Form::texts, validation, &SchemaCheck::required},
    {"dependentRequired", Form::named_texts, validation, &SchemaCheck::dependencies},
    {"minProperties", Form::whole, validation, &SchemaCheck::least_members},
    {"maxProperties", Form::whole, validation, &SchemaCheck::most_members},
    {"properties", Form::named_schemas, applicator, &SchemaCheck::properties},
    {"patternProperties", Form::patterned_schemas, applicator, &SchemaCheck::patterned},
    {"additionalProperties", Form::schema, applicator, &SchemaCheck::additional},
    {"propertyNames", Form::schema, applicator, &SchemaCheck::names},
    {"dependentSchemas", Form::named_schemas, applicator, &SchemaCheck::dependencies},
    {"dependencies", Form::named_either, applicator, &SchemaCheck::dependencies},  // both, once

    {"minItems", Form::whole, validation, &SchemaCheck::least_items},
    {"maxItems", Form::whole, validation, &SchemaCheck::most_items},
    {"uniqueItems", Form::boolean, validation, &SchemaCheck::unique},
    {"prefixItems", Form::schemas, applicator, &SchemaCheck::first_items},
    {"items", Form::schema, applicator, &SchemaCheck::items},
    {"contains", Form::schema, applicator, &SchemaCheck::contains},
    {"minContains", Form::whole, validation},
    {"maxContains", Form::whole, validation},

    {"minLength", Form::whole, validation, &SchemaCheck::shortest},
    {"maxLength", Form::whole, validation, &SchemaCheck::longest},
    {"pattern", Form::pattern, validation, &SchemaCheck::pattern},
    {"minimum", Form::number, validation, &SchemaCheck::minimum},
    {"maximum", Form::number, validation, &SchemaCheck::maximum},
    {"exclusiveMinimum", Form::number, validation, &SchemaCheck::above},
    {"exclusiveMaximum", Form::number, validation, &SchemaCheck::below},
    {"multipleOf", Form::positive, validation, &SchemaCheck::multiple},

    {"unevaluatedItems", Form::schema, unevaluated, &SchemaCheck::other_items},
    {"unevaluatedProperties", Form::schema, unevaluated, &SchemaCheck::other_members},

    {"title", Form::text, annotation},
    {"description", Form::text, annotation},
    {"default", Form::any, annotation},
    {"examples", Form::any, annotation},
    {"deprecated", Form::boolean, annotation},
    {"readOnly", Form::boolean, annotation},
    {"writeOnly", Form::boolean, annotation},
    {"format", Form::text, annotation},
    {"contentEncoding", Form::text, annotation},
    {"contentMediaType", Form::text, annotation},
    {"contentSchema", Form::schema, annotation},
};

template <class List, class Test>
bool each(List const& list, Test test) {
    return std::all_of(list.begin(), list.end(), test);
}

bool is_text(json::value const& value) {
    return value.is_string();
}

bool are_texts(json::value const& value) {
    return value.is_array() && each(value.get_array(), is_text);
}

bool is_type(json::value const& value) {
    constexpr std::string_view names[] = {"array",  "boolean", "integer", "null",
                                          "number", "object",  "string"};
    auto const* text = value.if_string();
    return text && std::find(std::begin(names), std::end(names),
                             std::string_view(text->data(), text->size())) != std::end(names);
}

bool is_schema(json::value const& value) {
    return value.is_object() || value.is_bool();
}

bool is_anchor(json::string const& text) {
    auto is_letter = [](char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; };
    auto is_other = [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; };
    return !text.empty() && (is_letter(text[0]) || text[0] == '_') &&
           each(text, [&](char c) { return is_letter(c) || is_other(c) || c == '_'; });
}

bool is_list_of_types(json::value const& value) {
    return value.is_array() && !value.get_array().empty() && each(value.get_array(), is_type);
}

template <class Test>
bool is_object_of(json::value const& value, Test test) {
    return value.is_object() &&
           each(value.get_object(), [&](auto const& member) { return test(member.value()); });
}

int sign_of(json::value const& number) {
    return Decimal::of(number).compared_to(Decimal::of(0));
}

}  // namespace

Keyword const* find_keyword(std::string_view name) {
    auto found = std::find_if(std::begin(keywords), std::end(keywords),
                              [&](Keyword const& keyword) { return keyword.name == name; });
    return found == std::end(keywords) ? nullptr : found;
}

bool has_form(json::value const& value, Form form) {
    switch (form) {
        case Form::any:
            return true;
        case Form::boolean:
            return value.is_bool();
        case Form::text:
        case Form::pattern:
        case Form::reference:
        case Form::dialect:
            return value.is_string();
        case Form::identifier: {
            auto const* text = value.if_string();
            auto hash = text ? text->find('#') : 0;
            return text && (hash == text->npos || hash + 1 == text->size());
        }
        case Form::anchor:
            return value.is_string() && is_anchor(value.get_string());
        case Form::texts:
            return are_texts(value);
        case Form::named_texts:
            return is_object_of(value, are_texts);
        case Form::list:
            return value.is_array() && !value.get_array().empty();
        case Form::type:
            return is_type(value) || is_list_of_types(value);
        case Form::number:
            return value.is_number();
        case Form::positive:
            return value.is_number() && sign_of(value) > 0;
        case Form::whole:
            return value.is_number() && Decimal::of(value).is_whole() && sign_of(value) >= 0;
        case Form::schema:
            return is_schema(value);
        case Form::schemas:
            return value.is_array() && !value.get_array().empty() &&
                   each(value.get_array(), is_schema);
        case Form::named_schemas:
        case Form::patterned_schemas:
            return is_object_of(value, is_schema);
        case Form::named_either:
            return is_object_of(value,
                                [](auto const& one) { return is_schema(one) || are_texts(one); });
    }
    return false;
}

}  // namespace parley
