#include "responses.hpp"

#include <algorithm>
#include <iterator>

namespace openai {

namespace {

using model_wire::Names;
using parley::Json;
using parley::json_of;
using parley::JsonRaw;
using parley::JsonWriter;

std::string said(std::string_view role, std::string_view text) {
    return json_of("type", "message", "role", role, "content", text);
}

// The conversation, item by item. `ids` leads from the host's name of a call to the service's own,
// where the answer that made it goes back as it came.
class Input {
public:
    explicit Input(Names const& names) : names_(names) {}

    void add(Json const& message) {
        auto const role = message["role"].text();
        if (role == "assistant") return add_answer(message);
        if (role == "skill") return add_result(message);
        std::string text(message["text"].text());
        auto const name = message["name"].text();
        if (!name.empty()) text = std::string(name) + ": " + text;
        items_.push_back(said("user", text));
    }
    std::vector<std::string> const& items() const { return items_; }

private:
    void add_answer(Json const& message) {
        if (add_as_it_came(message)) return;
        if (!message["text"].text().empty() || message["calls"].size() == 0) {
            items_.push_back(said("assistant", message["text"].text()));
        }
        for (Json const call : message["calls"]) {
            items_.push_back(json_of("type", "function_call", "call_id", call["id"].text(), "name",
                                     names_.on_wire(call["name"].text()), "arguments",
                                     call["arguments"].text()));
        }
    }

    // False when it is not an answer that we asked to have back, or not that of its calls.
    bool add_as_it_came(Json const& message) {
        Json const output = Json::parse(message["state"]["value"].text());
        std::vector<std::string> came, ids;
        for (Json const item : output) {
            came.emplace_back(item.raw());
            if (item["type"].text() == "function_call") ids.emplace_back(item["call_id"].text());
        }
        if (came.empty() || ids.size() != message["calls"].size()) return false;
        auto id = ids.begin();
        for (Json const call : message["calls"]) {
            ids_.insert_or_assign(std::string(call["id"].text()), *id++);
        }
        std::move(came.begin(), came.end(), std::back_inserter(items_));
        return true;
    }

    void add_result(Json const& message) {
        auto const call = message["call"].text();
        auto const found = ids_.find(call);
        // The wire has no sign for a failure but words.
        std::string const mark = message["error"].boolean() ? "[failed] " : "";
        items_.push_back(json_of("type", "function_call_output", "call_id",
                                 found == ids_.end() ? call : std::string_view(found->second),
                                 "output", mark + std::string(message["content"].text())));
    }

    Names const& names_;
    std::vector<std::string> items_;
    std::map<std::string, std::string, std::less<>> ids_;
};

// Fits what strict mode promises at present, and what it promised when it was new.
constexpr int depth_most = 5;
constexpr std::size_t properties_most = 100;

class Strict {
public:
    bool write(JsonWriter& out, Json const& schema, int depth) {
        if (!schema.is_object() || depth > depth_most) return false;
        if (!is_typed(schema)) return false;
        bool const is_object = has_type(schema, "object");
        if (is_object && !is_closed(schema)) return false;
        if (has_type(schema, "array") && !schema["items"].is_object()) return false;
        out.begin('{');
        for (Json const member : schema) {
            if (!write_member(out, member, depth)) return false;
        }
        out.end('}');
        return true;
    }

private:
    static bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
        return std::find(words.begin(), words.end(), word) != words.end();
    }
    static bool has_type(Json const& schema, std::string_view type) {
        if (schema["type"].text() == type) return true;
        for (Json const one : schema["type"]) {
            if (one.text() == type) return true;
        }
        return false;
    }
    static bool is_typed(Json const& schema) {
        return schema["type"].exists() || schema["enum"].is_array() || schema["const"].exists() ||
               schema["anyOf"].is_array();
    }
    // Nothing may be added, and nothing left out.
    bool is_closed(Json const& schema) {
        Json const more = schema["additionalProperties"];
        if (!schema["properties"].is_object() || !more.is_boolean() || more.boolean(true)) {
            return false;
        }
        properties_ += schema["properties"].size();
        if (properties_ > properties_most) return false;
        for (Json const property : schema["properties"]) {
            bool is_there = false;
            for (Json const name : schema["required"]) is_there |= name.text() == property.key();
            if (!is_there) return false;
        }
        return true;
    }

    bool write_member(JsonWriter& out, Json const& member, int depth) {
        auto const key = member.key();
        if (key == "properties") {
            out.key(key).begin('{');
            for (Json const property : member) {
                if (!write(out.key(property.key()), property, depth + 1)) return false;
            }
            out.end('}');
            return true;
        }
        if (key == "items") return write(out.key(key), member, depth + 1);
        if (key == "anyOf") {
            if (depth == 1) return false;
            out.key(key).begin('[');
            for (Json const one : member) {
                if (!write(out, one, depth)) return false;
            }
            out.end(']');
            return true;
        }
        if (is_one_of(key, {"type", "required", "additionalProperties", "description", "enum",
                            "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                            "multipleOf", "minItems", "maxItems"})) {
            out.pair(key, member);
            return true;
        }
        // Left out, they only leave more to the host's own check.
        return is_one_of(key, {"$schema", "$comment", "title", "examples", "deprecated",
                               "minLength", "maxLength", "uniqueItems"});
    }

    std::size_t properties_ = 0;
};

void write_tools(JsonWriter& out, Json const& skills, Names const& names) {
    if (skills.size() == 0) return;
    out.key("tools").begin('[');
    for (Json const skill : skills) {
        Json const schema = skill["parameters"];
        auto const strict = strict_schema(schema);
        out.begin('{').pair("type", "function").pair("name", names.on_wire(skill["name"].text()));
        out.pair("description", skill["description"].text());
        if (strict)
            out.key("parameters").raw(*strict);
        else if (schema.is_object())
            out.pair("parameters", schema);
        else
            out.key("parameters").null();
        // Said each time: what is left out would be taken for yes.
        out.pair("strict", strict.has_value()).end('}');
    }
    out.end(']');
}

}  // namespace

std::optional<std::string> strict_schema(Json const& schema) {
    if (schema["type"].text() != "object") return {};
    JsonWriter out;
    if (!Strict().write(out, schema, 1)) return {};
    return out.take();
}

std::string responses_body_for(Json const& request, Names const& names, bool carries_reasoning) {
    JsonWriter out;
    out.begin('{').pair("model", request["model"].text()).pair("stream", true);
    out.pair("store", false);
    if (carries_reasoning) out.key("include").raw(R"(["reasoning.encrypted_content"])");
    auto const most = request["max_output_tokens"].integer();
    if (most > 0) out.pair("max_output_tokens", most);
    auto const system = request["system"].text();
    if (!system.empty()) out.pair("instructions", system);
    Input input(names);
    for (Json const message : request["messages"]) input.add(message);
    out.key("input").begin('[');
    for (auto const& item : input.items()) out.raw(item);
    out.end(']');
    write_tools(out, request["skills"], names);
    return out.end('}').take();
}

}  // namespace openai
