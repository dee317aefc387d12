#include "messages.hpp"

#include <algorithm>

namespace anthropic {

namespace {

using parley::Json;
using parley::json_of;
using parley::JsonRaw;
using parley::JsonWriter;

// A turn of the user: results come first, whatever order they have.
struct UserTurn {
    std::vector<std::string> results, texts;
    bool is_empty() const { return results.empty() && texts.empty(); }
};

// What goes into a block before its closing brace.
std::string_view cache_mark(Manners const& manners) {
    return manners.caches ? R"(,"cache_control":{"type":"ephemeral"})" : "";
}

std::string marked(std::string block, std::string_view mark) {
    block.insert(block.size() - 1, mark);
    return block;
}

// The wire takes no empty text.
std::string text_block(std::string_view text) {
    return json_of("type", "text", "text", text.empty() ? std::string_view("(empty)") : text);
}

std::string input_of(std::string_view arguments) {
    Json const input = Json::parse(arguments);
    if (input.is_object()) return std::string(arguments);
    return json_of("not_an_object", arguments);
}

// The conversation, turn by turn. `ids` leads from the host's name of a call to the service's own,
// where the answer that made it goes back as it came.
class Conversation {
public:
    explicit Conversation(Names const& names) : names_(names) {}

    void add(Json const& message) {
        auto const role = message["role"].text();
        if (role == "assistant") return add_answer(message);
        if (role == "skill") return user_.results.push_back(result(message));
        std::string text(message["text"].text());
        auto const name = message["name"].text();
        if (!name.empty()) text = std::string(name) + ": " + text;
        user_.texts.push_back(text_block(text));
    }

    // Marks are set on the last two turns of the user: the one ends what the next request will
    // begin with, the other finds what the request before left, however many blocks lie between.
    std::vector<std::string> take(std::string_view mark) {
        end_user_turn();
        int marks = 2;
        for (auto turn = turns_.rbegin(); turn != turns_.rend() && marks > 0; ++turn) {
            if (!turn->is_user) continue;
            turn->blocks.back() = marked(std::move(turn->blocks.back()), mark);
            --marks;
        }
        std::vector<std::string> out;
        for (auto const& turn : turns_) {
            JsonWriter json;
            json.begin('{').pair("role", turn.is_user ? "user" : "assistant");
            json.key("content").begin('[');
            for (auto const& block : turn.blocks) json.raw(block);
            out.push_back(json.end(']').end('}').take());
        }
        return out;
    }

private:
    struct Turn {
        bool is_user = false;
        std::vector<std::string> blocks;
    };

    void end_user_turn() {
        if (user_.is_empty()) return;
        Turn turn{true, std::move(user_.results)};
        turn.blocks.insert(turn.blocks.end(), user_.texts.begin(), user_.texts.end());
        turns_.push_back(std::move(turn));
        user_ = {};
    }

    void add_answer(Json const& message) {
        end_user_turn();
        Turn turn{false, as_it_came(message)};
        // A conversation begins with its user, whatever was left out before.
        if (turns_.empty()) turns_.push_back({true, {text_block("(earlier words are left out)")}});
        if (turn.blocks.empty()) {
            if (!message["text"].text().empty()) {
                turn.blocks.push_back(text_block(message["text"].text()));
            }
            for (Json const call : message["calls"]) {
                turn.blocks.push_back(json_of("type", "tool_use", "id", call["id"].text(), "name",
                                              names_.on_wire(call["name"].text()), "input",
                                              JsonRaw{input_of(call["arguments"].text())}));
            }
        }
        if (turn.blocks.empty()) turn.blocks.push_back(text_block(""));
        // Turns alternate.
        if (turns_.back().is_user) return turns_.push_back(std::move(turn));
        auto& before = turns_.back().blocks;
        before.insert(before.end(), turn.blocks.begin(), turn.blocks.end());
    }

    // The blocks of an answer that we asked to have back; none when they are not those of its
    // calls.
    std::vector<std::string> as_it_came(Json const& message) {
        Json const blocks = Json::parse(message["state"]["value"].text());
        std::vector<std::string> out, ids;
        for (Json const block : blocks) {
            out.emplace_back(block.raw());
            if (block["type"].text() == "tool_use") ids.emplace_back(block["id"].text());
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
        JsonWriter out;
        out.begin('{').pair("type", "tool_result");
        out.pair("tool_use_id", found == ids_.end() ? call : std::string_view(found->second));
        out.pair("content", message["content"].text());
        if (message["error"].boolean()) out.pair("is_error", true);
        return out.end('}').take();
    }

    Names const& names_;
    std::vector<Turn> turns_;
    UserTurn user_;
    std::map<std::string, std::string, std::less<>> ids_;
};

void write_tools(JsonWriter& out, Json const& skills, Names const& names, std::string_view mark) {
    if (skills.size() == 0) return;
    out.key("tools").begin('[');
    std::size_t left = skills.size();
    for (Json const skill : skills) {
        JsonWriter tool;
        tool.begin('{').pair("name", names.on_wire(skill["name"].text()));
        tool.pair("description", skill["description"].text());
        Json const schema = skill["parameters"];
        bool const typed = schema["type"].text() == "object";
        if (typed)
            tool.pair("input_schema", schema);
        else
            tool.key("input_schema").raw(R"({"type":"object"})");
        std::string text = tool.end('}').take();
        out.raw(--left == 0 ? marked(std::move(text), mark) : text);
    }
    out.end(']');
}

void write_thinking(JsonWriter& out, Manners const& manners) {
    // Without a display a model that thinks between its calls would say nothing for minutes.
    if (manners.thinking == "adaptive") {
        out.key("thinking").raw(R"({"type":"adaptive","display":"summarized"})");
    }
    if (manners.effort.empty()) return;
    out.key("output_config").begin('{').pair("effort", manners.effort).end('}');
}

// All but the messages' closing bracket.
void write_rest(JsonWriter& out, Json const& request, Names const& names, Manners const& manners) {
    auto const mark = cache_mark(manners);
    write_thinking(out, manners);
    write_tools(out, request["skills"], names, mark);
    auto const system = request["system"].text();
    if (!system.empty()) {
        out.key("system").begin('[').raw(marked(text_block(system), mark)).end(']');
    }
    Conversation conversation(names);
    for (Json const message : request["messages"]) conversation.add(message);
    out.key("messages").begin('[');
    for (auto const& turn : conversation.take(mark)) out.raw(turn);
}

}  // namespace

Body body_for(Json const& request, Names const& names, Manners const& manners) {
    JsonWriter out;
    out.begin('{').pair("model", request["model"].text());
    auto most = request["max_output_tokens"].integer();
    if (manners.max_tokens > 0) most = std::min(most, manners.max_tokens);
    out.pair("max_tokens", most).pair("stream", true);
    write_rest(out, request, names, manners);
    return {out.take(), "]}"};
}

std::string count_body_for(Json const& request, Names const& names, Manners const& manners) {
    JsonWriter out;
    out.begin('{').pair("model", request["model"].text());
    write_rest(out, request, names, manners);
    return out.take() + "]}";
}

}  // namespace anthropic
