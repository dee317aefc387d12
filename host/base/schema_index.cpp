#include "base/schema_index.hpp"

#include "base/limits.hpp"
#include "base/schema_meta.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace parley {

namespace {

constexpr std::string_view home = "https://json-schema.org/draft/2020-12/";

constexpr unsigned bit(Vocabulary vocabulary) {
    return 1u << static_cast<unsigned>(vocabulary);
}

constexpr unsigned all_vocabularies = bit(Vocabulary::core) | bit(Vocabulary::applicator) |
                                      bit(Vocabulary::unevaluated) | bit(Vocabulary::validation) |
                                      bit(Vocabulary::annotation);

std::string_view view(json::string_view text) {
    return {text.data(), text.size()};
}

// Of the drafts before 2020-12 the keywords that still have their old names and values mean the
// same, or forbid more; the others are unknown here, and refused where unknown ones are.
bool is_known_dialect(std::string_view uri) {
    return uri == "https://json-schema.org/draft/2020-12/schema" ||
           uri == "https://json-schema.org/draft/2019-09/schema" ||
           uri == "http://json-schema.org/draft-07/schema" ||
           uri == "http://json-schema.org/draft-06/schema" ||
           uri == "http://json-schema.org/schema";
}

// Of a vocabulary's URI; nothing for one that is not known.
unsigned vocabulary_named(std::string_view uri) {
    if (!uri.starts_with(home)) return 0;
    uri.remove_prefix(home.size());
    if (uri == "vocab/core") return bit(Vocabulary::core);
    if (uri == "vocab/applicator") return bit(Vocabulary::applicator);
    if (uri == "vocab/unevaluated") return bit(Vocabulary::unevaluated);
    if (uri == "vocab/validation") return bit(Vocabulary::validation);
    if (uri == "vocab/meta-data" || uri == "vocab/format-annotation" || uri == "vocab/content")
        return bit(Vocabulary::annotation);
    return 0;
}

// Finds where `goal` stands below `from`, as a JSON pointer.
bool find_path(json::value const& from, json::value const& goal, std::string& path) {
    if (&from == &goal) return true;
    auto size = path.size();
    auto leads = [&](std::string_view step, json::value const& next) {
        append_pointer(path, step);
        if (find_path(next, goal, path)) return true;
        path.resize(size);
        return false;
    };
    if (auto const* object = from.if_object())
        for (auto const& member : *object)
            if (leads(view(member.key()), member.value())) return true;
    if (auto const* list = from.if_array())
        for (std::size_t i = 0; i < list->size(); ++i)
            if (leads(std::to_string(i), (*list)[i])) return true;
    return false;
}

}  // namespace

Result<std::unique_ptr<SchemaIndex const>> SchemaIndex::build(json::value document,
                                                              UnknownKeywords unknown,
                                                              SchemaDocuments const* others) {
    auto index = std::unique_ptr<SchemaIndex>(new SchemaIndex(unknown, others));
    TRY(root, index->add_document(std::move(document), ""));
    index->root_ = root;
    while (!index->to_lead_.empty()) {
        auto* node = index->to_lead_.back();
        index->to_lead_.pop_back();
        MUST(index->lead(*node));
    }
    index->others_ = nullptr;
    return std::unique_ptr<SchemaIndex const>(std::move(index));
}

std::string SchemaIndex::location(json::value const& source) const {
    for (auto const& document : documents_)
        if (std::string path; find_path(document.value, source, path))
            return document.uri + '#' + path;
    return "#";
}

Error SchemaIndex::wrong(json::value const& place, std::string const& what) const {
    auto where = visible(clipped(location(place), limits::schema_reason_bytes));
    return Error(Fault::bad_input, "the schema at " + where + ": " + what);
}

Result<> SchemaIndex::grow(std::size_t by, json::value const& place) {
    size_ += by;
    if (size_ <= limits::schema_size) return ok();
    return wrong(place, "it is too large: at most " + std::to_string(limits::schema_size) +
                            " keywords and steps of patterns are read");
}

Result<SchemaNode*> SchemaIndex::add_document(json::value document, std::string const& uri) {
    auto const& value = documents_.emplace_back(Document{uri, std::move(document)}).value;
    auto& resource = resources_.emplace_back();
    resource.uri = uri;
    resource.root = &value;
    TRY(vocabularies, vocabularies_of(value, all_vocabularies));
    resource.vocabularies = vocabularies;
    by_uri_.emplace(uri, &resource);
    TRY(node, add(value, &resource, 0));
    by_uri_[uri] = node->resource;  // another one when the document has an $id
    return node;
}

Result<SchemaNode*> SchemaIndex::add(json::value const& source, SchemaResource* resource,
                                     std::size_t depth) {
    auto [place, is_new] = nodes_.try_emplace(&source);
    auto& node = place->second;
    if (!is_new) return &node;
    if (depth > limits::json_depth) return wrong(source, "it is nested too deeply");
    MUST(grow(1, source));
    if (!has_form(source, Form::schema)) return wrong(source, "it must be an object or a boolean");
    if (member(source, "$id")) {
        TRY(own, add_resource(source, *resource));
        resource = own;
    }
    node.source = &source;
    node.resource = resource;
    if (source.is_object()) MUST(add_rules(node, depth));
    return &node;
}

Result<SchemaResource*> SchemaIndex::add_resource(json::value const& source,
                                                  SchemaResource const& outer) {
    auto const& id = *member(source, "$id");
    if (!has_form(id, Form::identifier))
        return wrong(id, "it must be a URI reference without a fragment");
    auto uri = resolve_reference(outer.uri, view(id.get_string()));
    if (!uri) return wrong(id, "it is too long");
    auto& resource = resources_.emplace_back();
    resource.uri = uri->document;
    resource.root = &source;
    TRY(vocabularies, vocabularies_of(source, outer.vocabularies));
    resource.vocabularies = vocabularies;
    auto [known, is_new] = by_uri_.emplace(resource.uri, &resource);
    // A document may be known by its name already.
    if (!is_new && known->second->root != &source) return wrong(id, "two schemas have this name");
    known->second = &resource;
    return &resource;
}

Result<unsigned> SchemaIndex::vocabularies_of(json::value const& source, unsigned otherwise) const {
    auto const* dialect = member(source, "$schema");
    if (!dialect) return otherwise;
    if (!has_form(*dialect, Form::text)) return wrong(*dialect, "it must be a URI");
    auto uri = view(dialect->get_string());
    if (uri.ends_with('#')) uri.remove_suffix(1);
    if (is_known_dialect(uri)) return all_vocabularies;
    auto const* other = other_document(uri);
    if (!other) return wrong(*dialect, "this dialect of JSON Schema is not known");
    auto const* list = member(*other, "$vocabulary");
    if (!list || !list->is_object()) return all_vocabularies;
    auto chosen = bit(Vocabulary::core);
    for (auto const& entry : list->get_object()) {
        auto vocabulary = vocabulary_named(view(entry.key()));
        auto is_required = entry.value().is_bool() && entry.value().get_bool();
        if (vocabulary == 0 && is_required)
            return wrong(*dialect, "it needs a vocabulary that is not known");
        chosen |= vocabulary;
    }
    return chosen;
}

json::value const* SchemaIndex::other_document(std::string_view uri) const {
    if (!others_) return nullptr;
    auto found = others_->find(uri);
    return found == others_->end() ? nullptr : &found->second;
}

Result<> SchemaIndex::add_rules(SchemaNode& node, std::size_t depth) {
    for (auto const& entry : node.source->get_object()) {
        auto name = view(entry.key());
        auto const* keyword = find_keyword(name);
        auto const& value = entry.value();
        MUST(grow(1, value));
        if (!keyword && unknown_ == UnknownKeywords::refused && !name.starts_with("x-"))
            return wrong(value, "this keyword is not known");
        if (!keyword || !(node.resource->vocabularies & bit(keyword->vocabulary))) continue;
        if (!has_form(value, keyword->form)) return wrong(value, "its value cannot be used");
        if (keyword->check) node.rules.push_back({keyword, &value});
        if (keyword->vocabulary == Vocabulary::unevaluated) asks_for_the_rest_ = true;
        MUST(add_inner(node, keyword->form, value, depth));
    }
    std::sort(node.rules.begin(), node.rules.end(),
              [](auto const& a, auto const& b) { return a.keyword < b.keyword; });
    MUST(add_anchor(node, "$anchor", false));
    MUST(add_anchor(node, "$dynamicAnchor", true));
    if (member(*node.source, "$ref") || member(*node.source, "$dynamicRef"))
        to_lead_.push_back(&node);
    return ok();
}

Result<> SchemaIndex::add_inner(SchemaNode& node, Form form, json::value const& value,
                                std::size_t depth) {
    switch (form) {
        case Form::schema:
            MUST(add(value, node.resource, depth + 1));
            break;
        case Form::schemas:
            for (auto const& one : value.get_array()) MUST(add(one, node.resource, depth + 1));
            break;
        case Form::named_schemas:
        case Form::patterned_schemas:
        case Form::named_either:
            for (auto const& one : value.get_object())
                if (has_form(one.value(), Form::schema))
                    MUST(add(one.value(), node.resource, depth + 1));
            break;
        default:
            break;
    }
    if (form == Form::pattern || form == Form::patterned_schemas) MUST(add_patterns(node, value));
    return ok();
}

Result<> SchemaIndex::add_patterns(SchemaNode& node, json::value const& value) {
    auto compile = [&](json::string_view text, json::value const& place) -> Result<Pattern> {
        auto pattern = Pattern::compile(view(text));
        if (!pattern) return wrong(place, "its pattern cannot be used: " + pattern.error().what);
        MUST(grow(pattern->size(), place));
        return pattern;
    };
    if (auto const* text = value.if_string()) {
        TRY(pattern, compile(*text, value));
        node.pattern = std::move(pattern);
        return ok();
    }
    for (auto const& entry : value.get_object()) {
        TRY(pattern, compile(entry.key(), entry.value()));
        node.patterns.push_back(std::move(pattern));
    }
    return ok();
}

Result<> SchemaIndex::add_anchor(SchemaNode& node, std::string_view keyword, bool is_dynamic) {
    auto const* name = member(*node.source, keyword);
    if (!name) return ok();
    auto text = std::string(view(name->get_string()));
    auto& resource = *node.resource;
    if (is_dynamic) resource.dynamic_anchors.emplace(text, &node);
    auto [known, is_new] = resource.anchors.emplace(text, &node);
    if (!is_new && known->second != &node) return wrong(*name, "two schemas have this anchor");
    return ok();
}

Result<> SchemaIndex::lead(SchemaNode& node) {
    if (auto const* reference = member(*node.source, "$ref")) {
        TRY(goal, target(*reference, *node.resource, nullptr));
        node.reference = goal;
    }
    if (auto const* reference = member(*node.source, "$dynamicRef")) {
        TRY(goal, target(*reference, *node.resource, &node.dynamic_name));
        node.dynamic_reference = goal;
    }
    return ok();
}

Result<SchemaNode const*> SchemaIndex::target(json::value const& reference,
                                              SchemaResource const& from,
                                              std::string* dynamic_name) {
    auto goal = resolve_reference(from.uri, view(reference.get_string()));
    if (!goal) return wrong(reference, "it is too long, or not a URI reference");
    TRY(resource, find_resource(goal->document, reference));
    auto const& fragment = goal->fragment;
    if (fragment.empty() || fragment[0] == '/') {
        boost::system::error_code error;
        auto const* found = resource->root->find_pointer(fragment, error);
        if (error || !found) return wrong(reference, "it refers to nothing");
        TRY(node, add(*found, resource, 0));
        return static_cast<SchemaNode const*>(node);
    }
    auto anchor = resource->anchors.find(fragment);
    if (anchor == resource->anchors.end()) return wrong(reference, "it refers to nothing");
    if (dynamic_name && resource->dynamic_anchors.contains(fragment)) *dynamic_name = fragment;
    return anchor->second;
}

Result<SchemaResource*> SchemaIndex::find_resource(std::string const& uri,
                                                   json::value const& reference) {
    if (auto known = by_uri_.find(uri); known != by_uri_.end()) return known->second;
    if (auto const* other = other_document(uri)) {
        TRY(node, add_document(*other, uri));
        return node->resource;
    }
    if (auto text = metaschema(uri); !text.empty()) {
        TRY(document, parse_json(text));
        TRY(node, add_document(std::move(document), uri));
        return node->resource;
    }
    return wrong(reference, "it refers to another document, and nothing is fetched");
}

}  // namespace parley
