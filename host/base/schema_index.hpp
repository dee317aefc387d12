#pragma once

// What a schema's documents hold: every subschema with its keywords, every name that a reference
// may use, and where each reference leads. Built once and whole, before anything is checked: what
// is wrong with a schema is known then. Documents come from the caller or are the metaschemas of
// 2020-12; nothing is fetched.
#include "base/pattern.hpp"
#include "base/schema.hpp"
#include "base/schema_keyword.hpp"
#include "base/uri.hpp"

#include <boost/json/value.hpp>

#include <list>
#include <map>
#include <optional>
#include <unordered_map>

namespace parley {

struct SchemaNode;

// A schema with a URI of its own, and what may be named in it.
struct SchemaResource {
    std::string uri;  // without a fragment; empty for a document that nobody named
    json::value const* root = nullptr;
    unsigned vocabularies = 0;  // those that count, a bit for each
    std::map<std::string, SchemaNode const*, std::less<>> anchors;
    std::map<std::string, SchemaNode const*, std::less<>> dynamic_anchors;  // among the above too
};

struct SchemaNode {
    struct Rule {
        Keyword const* keyword;
        json::value const* value;
    };

    json::value const* source = nullptr;  // an object, true or false
    SchemaResource* resource = nullptr;
    std::vector<Rule> rules;                        // in the order in which they are applied
    SchemaNode const* reference = nullptr;          // where $ref leads
    SchemaNode const* dynamic_reference = nullptr;  // where $dynamicRef leads, unless …
    std::string dynamic_name;                       // … an outer resource has this anchor too
    std::vector<Pattern> patterns;                  // of patternProperties' names, in their order
    std::optional<Pattern> pattern;
};

class SchemaIndex {
public:
    // `others` may be null, and need not live on.
    static Result<std::unique_ptr<SchemaIndex const>> build(json::value document,
                                                            UnknownKeywords unknown,
                                                            SchemaDocuments const* others);

    SchemaNode const& root() const { return *root_; }
    // Null for a value that stands in no schema's place.
    SchemaNode const* find(json::value const& source) const {
        auto found = nodes_.find(&source);
        return found == nodes_.end() ? nullptr : &found->second;
    }
    // Does any keyword ask what others have looked at?
    bool asks_for_the_rest() const { return asks_for_the_rest_; }
    // Where a value stands in its document: a URI, or "#/…" in the first one. For messages.
    std::string location(json::value const& source) const;

private:
    SchemaIndex(UnknownKeywords unknown, SchemaDocuments const* others)
        : unknown_(unknown), others_(others) {}

    Result<SchemaNode*> add_document(json::value document, std::string const& uri);
    Result<SchemaNode*> add(json::value const& source, SchemaResource* resource, std::size_t depth);
    Result<> add_rules(SchemaNode& node, std::size_t depth);
    Result<> add_inner(SchemaNode& node, Form form, json::value const& value, std::size_t depth);
    Result<> add_patterns(SchemaNode& node, json::value const& value);
    Result<> add_anchor(SchemaNode& node, std::string_view keyword, bool is_dynamic);
    Result<SchemaResource*> add_resource(json::value const& source, SchemaResource const& outer);
    // By the dialect that the schema names, if it does.
    Result<unsigned> vocabularies_of(json::value const& source, unsigned otherwise) const;
    json::value const* other_document(std::string_view uri) const;
    // Follows the node's own references; may add documents, and with them more to follow.
    Result<> lead(SchemaNode& node);
    Result<SchemaNode const*> target(json::value const& reference, SchemaResource const& from,
                                     std::string* dynamic_name);
    Result<SchemaResource*> find_resource(std::string const& uri, json::value const& reference);
    // Counts what a schema is made of, against what one may be made of.
    Result<> grow(std::size_t by, json::value const& place);
    Error wrong(json::value const& place, std::string const& what) const;

    struct Document {
        std::string uri;  // empty for the first, which is the schema
        json::value value;
    };

    UnknownKeywords unknown_;
    SchemaDocuments const* others_;  // until all is built; may be null
    std::list<Document> documents_;  // addresses of what is in them are kept
    std::list<SchemaResource> resources_;
    std::map<std::string, SchemaResource*, std::less<>> by_uri_;
    std::unordered_map<json::value const*, SchemaNode> nodes_;
    std::vector<SchemaNode*> to_lead_;  // those whose references lead nowhere yet
    SchemaNode const* root_ = nullptr;
    std::size_t size_ = 0;
    bool asks_for_the_rest_ = false;
};

}  // namespace parley
