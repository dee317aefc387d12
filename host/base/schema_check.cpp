#include "base/schema_check.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

namespace parley {

namespace {

std::string pointer_of(ValuePath const* path) {
    if (!path) return {};
    auto pointer = pointer_of(path->outer);
    append_pointer(pointer, path->is_item ? std::to_string(path->index) : std::string(path->name));
    return pointer;
}

std::string shown(std::string const& text) {
    return visible(clipped(text, limits::schema_reason_bytes / 4));
}

}  // namespace

SchemaCheck::SchemaCheck(SchemaIndex const& index) : index_(index), steps_(limits::schema_steps) {}

Result<> SchemaCheck::run(json::value const& value) {
    auto fits = apply(index_.root(), value, nullptr, nullptr, 0, nullptr);
    if (too_deep_)
        return Error(Fault::bad_input,
                     "the value cannot be checked: its schema is nested too deeply "
                     "for it, or refers to itself without an end");
    if (steps_.spent())
        return Error(Fault::bad_input,
                     "the value cannot be checked: holding it against its schema "
                     "takes more than " +
                         std::to_string(limits::schema_steps) + " steps");
    if (fits) return ok();
    return failure_ ? *failure_ : Error(Fault::bad_input, "the value does not fit its schema");
}

bool SchemaCheck::apply(SchemaNode const& node, json::value const& value, ValuePath const* path,
                        ResourcePath const* resources, std::size_t depth, Seen* seen_outside) {
    if (depth > limits::schema_depth) too_deep_ = true;
    if (too_deep_ || !steps_.take()) return false;
    if (node.source->is_bool())
        return node.source->get_bool() || fails(*node.source, path, "nothing is allowed here");
    ResourcePath entered{resources, node.resource};
    auto is_new = !resources || resources->resource != node.resource;
    Seen seen;
    SchemaPlace place{node, value, path, is_new ? &entered : resources, depth, seen};
    for (auto const& rule : node.rules) {
        if (!steps_.take()) return false;
        if (!(this->*rule.keyword->check)(*rule.value, place)) return false;
    }
    if (!seen_outside || seen.empty()) return true;
    // What the inner schema has looked at, the outer one has.
    if (!steps_.take_bytes(seen.size())) return false;
    if (seen_outside->size() < seen.size()) seen_outside->resize(seen.size());
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i]) (*seen_outside)[i] = true;
    return true;
}

bool SchemaCheck::here(SchemaNode const& node, SchemaPlace const& place) {
    return apply(node, place.value, place.path, place.resources, place.depth + 1, &place.seen);
}

bool SchemaCheck::here(Rule const& schema, SchemaPlace const& place) {
    return here(*index_.find(schema), place);
}

bool SchemaCheck::inside(Rule const& schema, SchemaPlace const& place, ValuePath const& path,
                         json::value const& value) {
    return apply(*index_.find(schema), value, &path, place.resources, place.depth + 1, nullptr);
}

void SchemaCheck::see(SchemaPlace const& place, std::size_t index) {
    if (!index_.asks_for_the_rest()) return;
    if (place.seen.size() <= index) place.seen.resize(index + 1);
    place.seen[index] = true;
}

bool SchemaCheck::was_seen(SchemaPlace const& place, std::size_t index) {
    return index < place.seen.size() && place.seen[index];
}

bool SchemaCheck::fails(Rule const& rule, ValuePath const* path, std::string_view why,
                        Rule const* rule_shown) {
    if (on_trial() || failure_) return false;
    auto where = path ? shown(pointer_of(path)) : "the value";
    std::string reason(why);
    if (rule_shown) reason += ' ' + shown(to_text(*rule_shown));
    failure_.emplace(Fault::bad_input,
                     where + ": " + reason + " (" + shown(index_.location(rule)) + ')');
    return false;
}

bool SchemaCheck::reference(Rule const&, SchemaPlace const& place) {
    return here(*place.node.reference, place);
}

bool SchemaCheck::dynamic_reference(Rule const&, SchemaPlace const& place) {
    auto const* target = place.node.dynamic_reference;
    auto const& name = place.node.dynamic_name;
    if (name.empty()) return here(*target, place);
    // The outermost resource that has the anchor is the one that is meant.
    for (auto const* entered = place.resources; entered; entered = entered->outer) {
        if (!steps_.take()) return false;
        auto const& anchors = entered->resource->dynamic_anchors;
        if (auto anchor = anchors.find(name); anchor != anchors.end()) target = anchor->second;
    }
    return here(*target, place);
}

bool SchemaCheck::all_of(Rule const& rule, SchemaPlace const& place) {
    for (auto const& schema : rule.get_array())
        if (!here(schema, place)) return false;
    return true;
}

bool SchemaCheck::any_of(Rule const& rule, SchemaPlace const& place) {
    bool fits = false;
    {
        Trial trial(*this);
        for (auto const& schema : rule.get_array()) {
            fits = here(schema, place) || fits;
            // The others matter only for what they have seen.
            if (fits && !index_.asks_for_the_rest()) break;
        }
    }
    return fits || fails(rule, place, "it fits none of the forms that are allowed");
}

bool SchemaCheck::one_of(Rule const& rule, SchemaPlace const& place) {
    std::size_t fits = 0;
    {
        Trial trial(*this);
        for (auto const& schema : rule.get_array()) {
            fits += here(schema, place) ? 1 : 0;
            if (fits > 1) break;
        }
    }
    if (fits == 0) return fails(rule, place, "it fits none of the forms that are allowed");
    return fits == 1 || fails(rule, place, "it must fit exactly one of the forms that are allowed");
}

bool SchemaCheck::not_this(Rule const& rule, SchemaPlace const& place) {
    bool fits = false;
    {
        Trial trial(*this);
        fits = here(rule, place);
    }
    return !fits || fails(rule, place, "it has a form that is not allowed");
}

bool SchemaCheck::condition(Rule const& rule, SchemaPlace const& place) {
    bool fits = false;
    {
        Trial trial(*this);
        fits = here(rule, place);
    }
    auto const* next = member(*place.node.source, fits ? "then" : "else");
    return !next || here(*next, place);
}

}  // namespace parley
