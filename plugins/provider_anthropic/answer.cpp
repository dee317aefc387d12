#include "messages.hpp"

#include <algorithm>

namespace anthropic {

namespace {

using parley::Json;
using parley::json_of;
using parley::JsonWriter;

// A service that pauses more often than this goes round in circles.
constexpr int pauses_most = 5;
constexpr std::int64_t blocks_most = 1024;

bool is_plain(std::string_view type) {
    return type == "text" || type == "tool_use";
}

std::string_view or_nothing(std::string_view input) {
    return input.empty() ? "{}" : input;
}

}  // namespace

Answer::Took Answer::take(std::string_view data, std::vector<std::string>& items) {
    std::string problem;
    Json const event = Json::parse(data, &problem);
    if (!event.is_object()) {
        garbage(problem.empty() ? "an event of the answer is no object"
                                : "an event of the answer is " + problem);
        return Took::garbage;
    }
    return take_event(event, items);
}

Answer::Took Answer::take_event(Json const& event, std::vector<std::string>& items) {
    auto const type = event["type"].text();
    bool fine = true;
    if (type == "error") return Took::error;
    if (type == "message_start") {
        take_usage(event["message"]["usage"]);
    } else if (type == "content_block_start") {
        fine = begin_block(event, items);
    } else if (type == "content_block_delta") {
        fine = add_delta(event, items);
    } else if (type == "content_block_stop") {
        auto const found = open_.find(event["index"].integer(-1));
        if (found != open_.end()) blocks_[found->second].is_closed = true;
    } else if (type == "message_delta") {
        take_usage(event["usage"]);
        take_stop(event["delta"]);
        is_counted_ = true;
    } else if (type == "message") {
        fine = take_whole(event, items);
    } else if (type == "message_stop") {
        is_done_ = true;
        return Took::done;
    }
    // Whatever else there is, `ping` and what is yet to be invented, means nothing to us.
    return fine ? Took::fine : Took::garbage;
}

// The server does not stream, though it was asked to.
bool Answer::take_whole(Json const& message, std::vector<std::string>& items) {
    std::int64_t index = 0;
    for (Json const block : message["content"]) {
        JsonWriter start;
        start.begin('{').pair("index", index++).pair("content_block", block).end('}');
        if (!begin_block(Json::parse(start.text()), items)) return false;
        blocks_.back().is_closed = true;
    }
    take_usage(message["usage"]);
    take_stop(message);
    is_done_ = is_counted_ = true;
    return true;
}

bool Answer::begin_block(Json const& event, std::vector<std::string>& items) {
    Json const start = event["content_block"];
    if (!start.is_object() || blocks_.size() >= blocks_most) {
        return garbage("the answer has a block that is none, or too many of them");
    }
    Block block;
    block.start = start;
    block.type = start["type"].text();
    block.text = start["text"].text();
    block.thinking = start["thinking"].text();
    block.signature = start["signature"].text();
    // An empty input stands for fragments that are yet to come.
    if (start["input"].size() > 0) block.input = start["input"].raw();
    open_.insert_or_assign(event["index"].integer(-1), blocks_.size());
    blocks_.push_back(block);
    return grow(start.raw().size()) && say("text", block.text, items) &&
           say("reasoning", block.thinking, items);
}

bool Answer::add_delta(Json const& event, std::vector<std::string>& items) {
    auto const found = open_.find(event["index"].integer(-1));
    if (found == open_.end() || blocks_[found->second].is_closed) {
        return garbage("a part of the answer belongs to no block");
    }
    Block& block = blocks_[found->second];
    Json const delta = event["delta"];
    auto const type = delta["type"].text();
    if (type == "text_delta") {
        block.text += delta["text"].text();
        return say("text", delta["text"].text(), items);
    }
    if (type == "thinking_delta") {
        block.thinking += delta["thinking"].text();
        return say("reasoning", delta["thinking"].text(), items);
    }
    if (type == "signature_delta") {
        block.signature += delta["signature"].text();
        return grow(delta["signature"].text().size());
    }
    if (type == "input_json_delta") {
        block.input += delta["partial_json"].text();
        return grow(delta["partial_json"].text().size());
    }
    if (type == "citations_delta") {
        block.citations += (block.citations.empty() ? "" : ",");
        block.citations += delta["citation"].raw();
        return grow(delta["citation"].raw().size());
    }
    return true;
}

// Counts are of the whole message up to here, so that the last ones stand. What a later event
// leaves out keeps its earlier value.
void Answer::take_usage(Json const& usage) {
    if (!usage.is_object()) return;
    auto const count = [&](char const* key) { return model_wire::count_at(usage, {key}); };
    auto out = usage_.value_or(model_wire::Usage{});
    auto const plain_before = out.input - std::max<std::int64_t>(out.cache_read, 0) -
                              std::max<std::int64_t>(out.cache_write, 0);
    auto const plain = count("input_tokens"), output = count("output_tokens");
    auto const read = count("cache_read_input_tokens");
    auto const written = count("cache_creation_input_tokens");
    if (output >= 0) out.output = output;
    if (read >= 0) out.cache_read = read;
    if (written >= 0) out.cache_write = written;
    out.input = (plain >= 0 ? plain : plain_before) + std::max<std::int64_t>(out.cache_read, 0) +
                std::max<std::int64_t>(out.cache_write, 0);
    auto const thought = model_wire::count_at(usage, {"output_tokens_details", "thinking_tokens"});
    if (thought >= 0) out.reasoning = thought;
    if (plain >= 0 || usage_) usage_ = out;
}

void Answer::take_stop(Json const& event) {
    if (event["stop_reason"].is_string()) stop_ = event["stop_reason"].text();
    Json const details = event["stop_details"];
    auto const kind = details["category"].text(), words = details["explanation"].text();
    if (kind.empty() && words.empty()) return;
    detail_ = std::string(kind) + (kind.empty() || words.empty() ? "" : ": ") + std::string(words);
    detail_ = parley::utf8_cut(detail_, model_wire::error_text_bytes);
}

void Answer::add_usage(std::vector<std::string>& items) const {
    if (is_counted_) tell_usage(items);
}

void Answer::tell_usage(std::vector<std::string>& items) const {
    if (!usage_) return;
    auto sum = *usage_;
    sum.input += before_.input;
    sum.output += before_.output;
    if (before_.cache_read > 0)
        sum.cache_read = std::max<std::int64_t>(sum.cache_read, 0) + before_.cache_read;
    if (before_.reasoning > 0)
        sum.reasoning = std::max<std::int64_t>(sum.reasoning, 0) + before_.reasoning;
    if (before_.cache_write > 0)
        sum.cache_write = std::max<std::int64_t>(sum.cache_write, 0) + before_.cache_write;
    items.push_back(model_wire::usage_item(sum));
}

// The blocks as they came, as one array.
std::string Answer::content() const {
    JsonWriter out;
    out.begin('[');
    for (auto const& block : blocks_) {
        if (block.type == "text" && block.text.empty()) continue;  // not taken back
        out.begin('{');
        bool has_citations = false, has_signature = false;
        for (Json const member : block.start) {
            auto const key = member.key();
            has_citations |= key == "citations";
            has_signature |= key == "signature";
            if (key == "text" && block.type == "text")
                out.pair(key, block.text);
            else if (key == "thinking")
                out.pair(key, block.thinking);
            else if (key == "signature")
                out.pair(key, block.signature);
            else if (key == "input")
                out.key(key).raw(or_nothing(block.input));
            else if (key == "citations" && !block.citations.empty()) {
                out.key(key).raw("[" + block.citations + "]");
            } else
                out.pair(key, member);
        }
        if (!has_signature && !block.signature.empty()) out.pair("signature", block.signature);
        if (!has_citations && !block.citations.empty()) {
            out.key("citations").raw("[" + block.citations + "]");
        }
        out.end('}');
    }
    return out.end(']').take();
}

std::string Answer::next_body() {
    if (stop_ != "pause_turn" || pauses_ >= pauses_most) return {};
    ++pauses_;
    auto const now = usage_.value_or(model_wire::Usage{});
    before_.input += now.input;
    before_.output += now.output;
    before_.cache_read =
        std::max<std::int64_t>(before_.cache_read, 0) + std::max<std::int64_t>(now.cache_read, 0);
    before_.cache_write =
        std::max<std::int64_t>(before_.cache_write, 0) + std::max<std::int64_t>(now.cache_write, 0);
    before_.reasoning =
        std::max<std::int64_t>(before_.reasoning, 0) + std::max<std::int64_t>(now.reasoning, 0);
    usage_.reset();
    open_.clear();
    stop_.clear();
    is_done_ = is_counted_ = false;
    return body_.head + R"(,{"role":"assistant","content":)" + content() + "}" + body_.tail;
}

bool Answer::finish(std::vector<std::string>& items) {
    if (stop_ == "pause_turn") {
        return garbage("the model paused " + std::to_string(pauses_) + " times without an end");
    }
    tell_usage(items);
    std::string_view reason = "end";
    if (stop_ == "refusal")
        reason = "refusal";
    else if (stop_ == "max_tokens" || stop_ == "model_context_window_exceeded")
        reason = "length";

    std::size_t calls = 0;
    bool is_bound = false, is_whole = true;
    std::vector<std::string> wanted;
    for (auto const& block : blocks_) {
        is_bound |= !is_plain(block.type) || !block.citations.empty();
        is_whole &= block.input.empty() || Json::parse(block.input).is_object();
        if (block.type != "tool_use") continue;
        if (++calls > model_wire::calls_most) return garbage("the answer has too many tool calls");
        auto const name = block.start["name"].text();
        if (name.empty()) return garbage("the answer has a tool call without a name");
        wanted.push_back(json_of("type", "call", "id", block.start["id"].text(), "name",
                                 names_.meant_by(name), "arguments", or_nothing(block.input)));
    }
    if (reason == "refusal") {
        // What was broken off may have been the half of a call.
        items.push_back(json_of("type", "stop", "reason", reason, "detail", detail_));
        return true;
    }
    if (is_bound && is_whole) model_wire::add_state(content(), items);
    for (auto& call : wanted) items.push_back(std::move(call));
    if (reason == "end" && calls > 0) reason = "calls";
    items.push_back(json_of("type", "stop", "reason", reason));
    return true;
}

}  // namespace anthropic
