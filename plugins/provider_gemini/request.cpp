#include "content.hpp"

#include <map>

namespace gemini {

namespace {

using parley::Json;
using parley::json_of;
using parley::JsonRaw;
using parley::JsonWriter;

// From its third generation on a model refuses a call that is not signed. This, its vendor says, is
// what a call of another model is to carry.
constexpr std::string_view unsigned_mark = "skip_thought_signature_validator";

bool wants_signatures(std::string_view model) {
    static constexpr std::string_view family = "gemini-";
    if (!model.starts_with(family)) return false;
    auto const number = model.substr(family.size());
    if (number.empty() || number[0] < '0' || number[0] > '9') return false;
    return number[0] >= '3' || (number.size() > 1 && number[1] >= '0' && number[1] <= '9');
}

std::string text_part(std::string_view text) {
    return json_of("text", text.empty() ? std::string_view("(empty)") : text);
}

// The conversation, content by content. `ids` leads from the host's name of a call to the service's
// own, which may be none, where the answer that made it goes back as it came.
class Conversation {
public:
    Conversation(Names const& names, bool wants_signatures)
        : names_(names), wants_signatures_(wants_signatures) {}

    void add(Json const& message) {
        auto const role = message["role"].text();
        if (role == "assistant") return add_answer(message);
        if (role == "skill") return results_.push_back(result(message));
        std::string text(message["text"].text());
        auto const name = message["name"].text();
        if (!name.empty()) text = std::string(name) + ": " + text;
        texts_.push_back(text_part(text));
    }
    std::vector<std::string> const& take() {
        end_user_turn();
        return contents_;
    }

private:
    void say(char const* role, std::vector<std::string> const& parts) {
        JsonWriter out;
        out.begin('{').pair("role", role).key("parts").begin('[');
        for (auto const& part : parts) out.raw(part);
        contents_.push_back(out.end(']').end('}').take());
    }

    // Results stand alone, right after the calls that they are of.
    void end_user_turn() {
        if (!results_.empty()) say("user", results_);
        if (!texts_.empty()) say("user", texts_);
        results_.clear();
        texts_.clear();
    }

    void add_answer(Json const& message) {
        end_user_turn();
        // A conversation begins with its user, whatever was left out before.
        if (contents_.empty()) say("user", {text_part("(earlier words are left out)")});
        auto parts = as_it_came(message);
        if (parts.empty()) {
            if (!message["text"].text().empty()) parts.push_back(text_part(message["text"].text()));
            bool is_first = true;
            for (Json const call : message["calls"]) {
                parts.push_back(call_part(call, wants_signatures_ && is_first));
                is_first = false;
            }
        }
        if (parts.empty()) parts.push_back(text_part(""));
        say("model", parts);
    }

    std::string call_part(Json const& call, bool is_marked) const {
        auto const arguments = call["arguments"].text();
        JsonWriter out;
        out.begin('{').key("functionCall").begin('{').pair("id", call["id"].text());
        out.pair("name", names_.on_wire(call["name"].text())).key("args");
        if (Json::parse(arguments).is_object())
            out.raw(arguments);
        else
            out.raw(json_of("not_an_object", arguments));
        out.end('}');
        if (is_marked) out.pair("thoughtSignature", unsigned_mark);
        return out.end('}').take();
    }

    // The parts of an answer that we asked to have back; none when they are not those of its calls.
    std::vector<std::string> as_it_came(Json const& message) {
        Json const came = Json::parse(message["state"]["value"].text());
        std::vector<std::string> out, ids;
        for (Json const part : came) {
            out.emplace_back(part.raw());
            Json const call = part["functionCall"];
            if (call.is_object()) ids.emplace_back(call["id"].text());
        }
        if (ids.size() != message["calls"].size()) return {};
        auto id = ids.begin();
        for (Json const call : message["calls"]) {
            ids_.insert_or_assign(std::string(call["id"].text()), *id++);
        }
        return out;
    }

    std::string result(Json const& message) const {
        auto const call = message["call"].text();
        auto const found = ids_.find(call);
        auto const id = found == ids_.end() ? call : std::string_view(found->second);
        JsonWriter out;
        out.begin('{').key("functionResponse").begin('{');
        if (!id.empty()) out.pair("id", id);
        out.pair("name", names_.on_wire(message["name"].text())).key("response");
        out.raw(
            json_of(message["error"].boolean() ? "error" : "output", message["content"].text()));
        return out.end('}').end('}').take();
    }

    Names const& names_;
    bool wants_signatures_;
    std::vector<std::string> contents_, results_, texts_;
    std::map<std::string, std::string, std::less<>> ids_;
};

void write_generation(JsonWriter& out, Json const& request, Manners const& manners) {
    out.key("generationConfig").begin('{');
    auto const most = request["max_output_tokens"].integer();
    if (most > 0) out.pair("maxOutputTokens", most);
    if (manners.shows_thoughts || !manners.effort.empty()) {
        out.key("thinkingConfig").begin('{');
        if (manners.shows_thoughts) out.pair("includeThoughts", true);
        std::string level = manners.effort;
        for (char& c : level) {
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        }
        if (!level.empty()) out.pair("thinkingLevel", level);
        out.end('}');
    }
    out.end('}');
}

}  // namespace

std::string path_for(std::string_view model) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out = "/models/";
    for (unsigned char const c : model) {
        bool const plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                           (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
        if (plain)
            out += static_cast<char>(c);
        else
            out += {'%', digits[c >> 4], digits[c & 15]};
    }
    return out + ":streamGenerateContent?alt=sse";
}

std::string body_for(Json const& request, Names const& names, Manners const& manners) {
    JsonWriter out;
    out.begin('{');
    auto const system = request["system"].text();
    if (!system.empty()) {
        out.key("systemInstruction").begin('{').key("parts").begin('[');
        out.raw(text_part(system)).end(']').end('}');
    }
    Conversation conversation(names, wants_signatures(request["model"].text()));
    for (Json const message : request["messages"]) conversation.add(message);
    out.key("contents").begin('[');
    for (auto const& content : conversation.take()) out.raw(content);
    out.end(']');
    if (request["skills"].size() > 0) {
        out.key("tools").begin('[').begin('{').key("functionDeclarations").begin('[');
        for (Json const skill : request["skills"]) {
            out.begin('{').pair("name", names.on_wire(skill["name"].text()));
            out.pair("description", skill["description"].text());
            if (skill["parameters"].size() > 0) {
                out.pair("parametersJsonSchema", skill["parameters"]);
            }
            out.end('}');
        }
        out.end(']').end('}').end(']');
    }
    write_generation(out, request, manners);
    return out.end('}').take();
}

}  // namespace gemini
