// What JSON Schema says of arrays.
#include "base/decimal.hpp"
#include "base/schema_check.hpp"

#include <algorithm>

namespace parley {

namespace {

int count_order(json::value const& rule, std::size_t count) {
    return Decimal::of(json::value(count)).compared_to(Decimal::of(rule));
}

std::size_t prefix_size(SchemaPlace const& place) {
    auto const* prefix = member(*place.node.source, "prefixItems");
    return prefix ? prefix->get_array().size() : 0;
}

}  // namespace

bool SchemaCheck::item_inside(Rule const& schema, SchemaPlace const& place, std::size_t index) {
    ValuePath path{place.path, {}, index, true};
    return inside(schema, place, path, place.value.get_array()[index]);
}

bool SchemaCheck::least_items(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    return !list || count_order(rule, list->size()) >= 0 ||
           fails_showing(rule, place, "the number of its items must be at least");
}

bool SchemaCheck::most_items(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    return !list || count_order(rule, list->size()) <= 0 ||
           fails_showing(rule, place, "the number of its items must be at most");
}

// Only items of the same hash are compared.
bool SchemaCheck::unique(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    if (!list || !rule.get_bool()) return true;
    std::vector<std::pair<std::size_t, std::size_t>> by_hash;
    for (std::size_t i = 0; i < list->size(); ++i)
        by_hash.emplace_back(hash_json((*list)[i], steps_), i);
    std::sort(by_hash.begin(), by_hash.end());
    for (std::size_t i = 0; i < by_hash.size(); ++i)
        for (auto j = i + 1; j < by_hash.size() && by_hash[j].first == by_hash[i].first; ++j) {
            if (!steps_.take()) return false;
            auto twice = by_hash[j].second;
            if (!same_json((*list)[by_hash[i].second], (*list)[twice], steps_)) continue;
            ValuePath path{place.path, {}, twice, true};
            return fails(rule, &path, "the item stands there before");
        }
    return true;
}

bool SchemaCheck::first_items(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    if (!list) return true;
    auto const& schemas = rule.get_array();
    for (std::size_t i = 0; i < std::min(schemas.size(), list->size()); ++i) {
        if (!item_inside(schemas[i], place, i)) return false;
        see(place, i);
    }
    return true;
}

bool SchemaCheck::items(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    if (!list) return true;
    for (auto i = prefix_size(place); i < list->size(); ++i) {
        if (!item_inside(rule, place, i)) return false;
        see(place, i);
    }
    return true;
}

bool SchemaCheck::contains(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    if (!list) return true;
    std::size_t count = 0;
    {
        Trial trial(*this);
        for (std::size_t i = 0; i < list->size(); ++i)
            if (item_inside(rule, place, i)) {
                ++count;
                see(place, i);
            }
    }
    auto const* least = member(*place.node.source, "minContains");
    auto const* most = member(*place.node.source, "maxContains");
    if (least ? count_order(*least, count) < 0 : count == 0)
        return fails(rule, place, "too few of its items have the form that is asked for");
    return !most || count_order(*most, count) <= 0 ||
           fails(rule, place, "too many of its items have the form that is asked for");
}

bool SchemaCheck::other_items(Rule const& rule, SchemaPlace const& place) {
    auto const* list = place.value.if_array();
    if (!list) return true;
    for (std::size_t i = 0; i < list->size(); ++i) {
        if (!steps_.take()) return false;
        if (was_seen(place, i)) continue;
        if (!item_inside(rule, place, i)) return false;
        see(place, i);
    }
    return true;
}

}  // namespace parley
