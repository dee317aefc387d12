// What JSON Schema says of objects.
#include "base/decimal.hpp"
#include "base/schema_check.hpp"

namespace parley {

namespace {

std::string_view view(json::string_view text) {
    return {text.data(), text.size()};
}

ValuePath to_member(SchemaPlace const& place, json::string_view name) {
    return {place.path, view(name), 0, false};
}

int count_order(json::value const& rule, json::object const& object) {
    return Decimal::of(json::value(object.size())).compared_to(Decimal::of(rule));
}

}  // namespace

bool SchemaCheck::required(Rule const& rule, SchemaPlace const& place) {
    return !place.value.is_object() || all_required(rule, place);
}

bool SchemaCheck::all_required(Rule const& names, SchemaPlace const& place) {
    auto const& object = place.value.get_object();
    for (auto const& name : names.get_array()) {
        if (!steps_.take()) return false;
        if (object.contains(name.get_string())) continue;
        return !on_trial() &&
               fails(names, place, "'" + std::string(view(name.get_string())) + "' is missing");
    }
    return true;
}

bool SchemaCheck::dependencies(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    for (auto const& [name, need] : rule.get_object()) {
        if (!steps_.take()) return false;
        if (!object->contains(name)) continue;
        if (need.is_array() ? !all_required(need, place) : !here(need, place)) return false;
    }
    return true;
}

bool SchemaCheck::least_members(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    return !object || count_order(rule, *object) >= 0 ||
           fails_showing(rule, place, "the number of its members must be at least");
}

bool SchemaCheck::most_members(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    return !object || count_order(rule, *object) <= 0 ||
           fails_showing(rule, place, "the number of its members must be at most");
}

bool SchemaCheck::properties(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    auto const& schemas = rule.get_object();
    for (std::size_t i = 0; i < object->size(); ++i) {
        auto const& [name, value] = *(object->begin() + i);
        if (!steps_.take()) return false;
        auto const* schema = schemas.if_contains(name);
        if (!schema) continue;
        if (!inside(*schema, place, to_member(place, name), value)) return false;
        see(place, i);
    }
    return true;
}

bool SchemaCheck::patterned(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    auto const* schemas = rule.get_object().begin();
    for (std::size_t i = 0; i < object->size(); ++i) {
        auto const& [name, value] = *(object->begin() + i);
        for (std::size_t j = 0; j < place.node.patterns.size(); ++j) {
            if (!place.node.patterns[j].found_in(view(name), steps_)) continue;
            if (!inside(schemas[j].value(), place, to_member(place, name), value)) return false;
            see(place, i);
        }
    }
    return true;
}

bool SchemaCheck::has_pattern(SchemaPlace const& place, std::string_view name) {
    for (auto const& pattern : place.node.patterns)
        if (pattern.found_in(name, steps_)) return true;
    return false;
}

bool SchemaCheck::additional(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    auto const* known = member(*place.node.source, "properties");
    for (std::size_t i = 0; i < object->size(); ++i) {
        auto const& [name, value] = *(object->begin() + i);
        if (!steps_.take()) return false;
        if (known && known->get_object().contains(name)) continue;
        if (has_pattern(place, view(name))) continue;
        auto path = to_member(place, name);
        if (rule == json::value(false)) return fails(rule, &path, "there is no such member");
        if (!inside(rule, place, path, value)) return false;
        see(place, i);
    }
    return true;
}

bool SchemaCheck::names(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    for (auto const& entry : *object) {
        if (!steps_.take_bytes(entry.key().size())) return false;
        if (!inside(rule, place, to_member(place, entry.key()), json::value(entry.key())))
            return false;
    }
    return true;
}

bool SchemaCheck::other_members(Rule const& rule, SchemaPlace const& place) {
    auto const* object = place.value.if_object();
    if (!object) return true;
    for (std::size_t i = 0; i < object->size(); ++i) {
        auto const& [name, value] = *(object->begin() + i);
        if (!steps_.take()) return false;
        if (was_seen(place, i)) continue;
        auto path = to_member(place, name);
        if (rule == json::value(false)) return fails(rule, &path, "there is no such member");
        if (!inside(rule, place, path, value)) return false;
        see(place, i);
    }
    return true;
}

}  // namespace parley
