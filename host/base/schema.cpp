#include "base/schema.hpp"

#include "base/limits.hpp"
#include "base/schema_check.hpp"
#include "base/schema_index.hpp"

namespace parley {

namespace {

class Defaults {
public:
    explicit Defaults(SchemaIndex const& index) : index_(index) {}

    void fill(SchemaNode const* node, json::value& value, std::size_t depth) {
        if (!node || depth > limits::json_depth || !steps_.take()) return;
        fill(node->reference, value, depth + 1);
        auto const* properties = member(*node->source, "properties");
        if (properties && value.is_object())
            fill_members(properties->get_object(), value.get_object(), depth);
        auto const* items = member(*node->source, "items");
        if (items && value.is_array())
            for (auto& item : value.get_array()) fill(index_.find(*items), item, depth + 1);
    }

private:
    void fill_members(json::object const& properties, json::object& object, std::size_t depth) {
        for (auto const& property : properties) {
            if (!steps_.take()) return;
            auto const* preset = member(property.value(), "default");
            if (preset && left_ > 0 && object.emplace(property.key(), *preset).second) --left_;
            if (auto* inner = object.if_contains(property.key()))
                fill(index_.find(property.value()), *inner, depth + 1);
        }
    }

    SchemaIndex const& index_;
    Steps steps_{limits::schema_steps};
    std::size_t left_ = limits::schema_defaults;
};

}  // namespace

Schema::Schema(std::unique_ptr<SchemaIndex const> index) : index_(std::move(index)) {}
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;
Schema::~Schema() = default;

Result<Schema> Schema::open(json::value document, UnknownKeywords unknown,
                            SchemaDocuments const* others) {
    TRY(index, SchemaIndex::build(std::move(document), unknown, others));
    return Schema(std::move(index));
}

Result<> Schema::check(json::value const& value) const {
    return SchemaCheck(*index_).run(value);
}

json::value Schema::with_defaults(json::value value) const {
    Defaults(*index_).fill(&index_->root(), value, 0);
    return value;
}

Result<> check_schema(json::value const& schema, json::value const& value) {
    TRY(opened, Schema::open(schema));
    return opened.check(value);
}

Result<> check_is_schema(json::value const& schema) {
    MUST(Schema::open(schema));
    return ok();
}

json::value with_defaults(json::value const& schema, json::value value) {
    auto opened = Schema::open(schema);
    if (!opened) return value;
    return opened->with_defaults(std::move(value));
}

}  // namespace parley
