#pragma once

// Holds one value against a schema that was read. Each keyword is a member function, named in the
// table of schema_keyword.cpp. Work and depth are bounded whatever the schema and the value are;
// when the bound is met there is no verdict, and that is an error.
#include "base/schema_index.hpp"
#include "base/steps.hpp"

#include <string>
#include <vector>

namespace parley {

// Where a value stands, from the inside out.
struct ValuePath {
    ValuePath const* outer;
    std::string_view name;  // of a member, or …
    std::size_t index;      // … of an item, when is_item
    bool is_item;
};

// The resources that were entered on the way to a schema, from the inside out: what a dynamic
// reference looks through.
struct ResourcePath {
    ResourcePath const* outer;
    SchemaResource const* resource;
};

// Which members or items some keyword of a schema has looked at, by their order.
using Seen = std::vector<bool>;

// One schema held against one value. All of it lives on the stack while that lasts.
struct SchemaPlace {
    SchemaNode const& node;
    json::value const& value;
    ValuePath const* path;
    ResourcePath const* resources;
    std::size_t depth;
    Seen& seen;
};

class SchemaCheck {
public:
    explicit SchemaCheck(SchemaIndex const& index);

    // Fault::bad_input names the place in the value and the keyword that it does not fit.
    Result<> run(json::value const& value);

    using Rule = json::value;

    // Any value. schema_check.cpp
    bool reference(Rule const& rule, SchemaPlace const& place);
    bool dynamic_reference(Rule const& rule, SchemaPlace const& place);
    bool all_of(Rule const& rule, SchemaPlace const& place);
    bool any_of(Rule const& rule, SchemaPlace const& place);
    bool one_of(Rule const& rule, SchemaPlace const& place);
    bool not_this(Rule const& rule, SchemaPlace const& place);
    bool condition(Rule const& rule, SchemaPlace const& place);

    // Values that hold nothing. schema_plain.cpp
    bool type(Rule const& rule, SchemaPlace const& place);
    bool constant(Rule const& rule, SchemaPlace const& place);
    bool enumeration(Rule const& rule, SchemaPlace const& place);
    bool shortest(Rule const& rule, SchemaPlace const& place);
    bool longest(Rule const& rule, SchemaPlace const& place);
    bool pattern(Rule const& rule, SchemaPlace const& place);
    bool minimum(Rule const& rule, SchemaPlace const& place);
    bool maximum(Rule const& rule, SchemaPlace const& place);
    bool above(Rule const& rule, SchemaPlace const& place);
    bool below(Rule const& rule, SchemaPlace const& place);
    bool multiple(Rule const& rule, SchemaPlace const& place);

    // Objects. schema_object.cpp
    bool required(Rule const& rule, SchemaPlace const& place);
    bool dependencies(Rule const& rule, SchemaPlace const& place);
    bool least_members(Rule const& rule, SchemaPlace const& place);
    bool most_members(Rule const& rule, SchemaPlace const& place);
    bool properties(Rule const& rule, SchemaPlace const& place);
    bool patterned(Rule const& rule, SchemaPlace const& place);
    bool additional(Rule const& rule, SchemaPlace const& place);
    bool names(Rule const& rule, SchemaPlace const& place);
    bool other_members(Rule const& rule, SchemaPlace const& place);

    // Arrays. schema_array.cpp
    bool least_items(Rule const& rule, SchemaPlace const& place);
    bool most_items(Rule const& rule, SchemaPlace const& place);
    bool unique(Rule const& rule, SchemaPlace const& place);
    bool first_items(Rule const& rule, SchemaPlace const& place);
    bool items(Rule const& rule, SchemaPlace const& place);
    bool contains(Rule const& rule, SchemaPlace const& place);
    bool other_items(Rule const& rule, SchemaPlace const& place);

private:
    // While one lives, not fitting is no failure yet, and needs no words.
    class Trial;

    bool apply(SchemaNode const& node, json::value const& value, ValuePath const* path,
               ResourcePath const* resources, std::size_t depth, Seen* seen_outside);
    // Another schema, held against the same value.
    bool here(SchemaNode const& node, SchemaPlace const& place);
    bool here(Rule const& schema, SchemaPlace const& place);
    // A schema for a member or an item of the value.
    bool inside(Rule const& schema, SchemaPlace const& place, ValuePath const& path,
                json::value const& value);
    bool item_inside(Rule const& schema, SchemaPlace const& place, std::size_t index);
    bool has_pattern(SchemaPlace const& place, std::string_view name);
    bool all_required(Rule const& names, SchemaPlace const& place);
    // Notes that a keyword has looked at a member or an item, when another will ask.
    void see(SchemaPlace const& place, std::size_t index);
    static bool was_seen(SchemaPlace const& place, std::size_t index);

    bool on_trial() const { return trials_ > 0; }
    // Always false. Keeps the first failure that is not on trial, with what the rule says.
    bool fails(Rule const& rule, ValuePath const* path, std::string_view why,
               Rule const* rule_shown = nullptr);
    bool fails(Rule const& rule, SchemaPlace const& place, std::string_view why) {
        return fails(rule, place.path, why);
    }
    bool fails_showing(Rule const& rule, SchemaPlace const& place, std::string_view why) {
        return fails(rule, place.path, why, &rule);
    }

    SchemaIndex const& index_;
    Steps steps_;
    std::size_t trials_ = 0;
    bool too_deep_ = false;
    std::optional<Error> failure_;
};

class SchemaCheck::Trial {
public:
    explicit Trial(SchemaCheck& check) : check_(check) { ++check_.trials_; }
    ~Trial() { --check_.trials_; }
    Trial(Trial const&) = delete;

private:
    SchemaCheck& check_;
};

}  // namespace parley
