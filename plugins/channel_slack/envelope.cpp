#include "envelope.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <utility>

namespace slack {

namespace {

using parley::Json;
using parley::JsonWriter;

constexpr std::size_t name_bytes = 128, id_bytes = 64, envelope_bytes = 256;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= id_bytes &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); });
}
// As the host gave it to a button of ours.
bool is_data(std::string_view data) {
    return !data.empty() && data.size() <= 48 && std::all_of(data.begin(), data.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_';
    });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    auto const first = std::min(text.find_first_not_of(space), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(space) + 1);
}

// On one line, and without the brackets that our own notes stand in.
std::string shown_name(std::string_view name) {
    std::string out(parley::utf8_cut(name, name_bytes));
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 32 || c == '[' || c == ']'; }, ' ');
    return out;
}

std::string command_in(std::string_view word) {
    for (std::string_view const known : {"status", "stop", "new"})
        if (word == known) return std::string(known);
    return {};
}

// What stands between < and >: a link, a person, a channel, everybody.
std::string shown_mark(std::string_view inside) {
    auto const bar = inside.find('|');
    auto const target = inside.substr(0, bar);
    auto const label = bar == inside.npos ? std::string_view() : inside.substr(bar + 1);
    if (target.starts_with('@')) return "@" + std::string(label.empty() ? target.substr(1) : label);
    if (target.starts_with('#')) return "#" + std::string(label.empty() ? target.substr(1) : label);
    if (target.starts_with('!')) {
        if (!label.empty()) return std::string(label);
        return "@" + std::string(target.substr(1, target.find('^') - 1));
    }
    auto const address = target.starts_with("mailto:") ? target.substr(7) : target;
    if (label.empty() || label == address) return std::string(address);
    return std::string(label) + " (" + std::string(address) + ")";
}

std::string unescaped(std::string_view text) {
    static constexpr std::pair<std::string_view, char> names[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        auto const found = std::find_if(std::begin(names), std::end(names), [&](auto const& one) {
            return text.substr(at).starts_with(one.first);
        });
        bool const is_name = found != std::end(names);
        out += is_name ? found->second : text[at];
        at += is_name ? found->first.size() : 1;
    }
    return out;
}

// Nothing that a person sent vanishes without a word.
std::string note_about_files(Json const& files) {
    std::string out;
    for (Json const file : files) {
        out += out.empty() ? "" : "\n";
        auto const name = file["name"].text(file["title"].text());
        out += "[file, not taken" + (name.empty() ? "" : ": " + shown_name(name)) + "]";
    }
    return out;
}

void write_sender(JsonWriter& out, std::string_view user, std::string_view name) {
    out.key("sender").begin('{').key("ids").begin('[').value("id:" + std::string(user)).end(']');
    if (!name.empty()) out.pair("name", shown_name(name));
    out.end('}');
}

// A message, or the same message as Slack tells of it once more because it names the app.
std::string message_in(Json const& event, Me const& me, Channels channels,
                       std::string_view cursor) {
    auto const kind = event["subtype"].text();
    bool const is_said =
        kind.empty() || kind == "file_share" || kind == "thread_broadcast" || kind == "me_message";
    auto const user = event["user"].text(), channel = event["channel"].text(),
               ts = event["ts"].text();
    // Two bots that answer each other would never end.
    if (!is_said || event["bot_id"].exists() || event["hidden"].boolean() || user == me.user)
        return {};
    if (!is_id(user) || !is_id(channel) || !is_ts(ts)) return {};
    bool const is_private = event["channel_type"].text() == "im";
    std::string_view raw = trimmed(event["text"].text());
    std::string const mention = "<@" + me.user + ">";
    bool const is_named = raw.find(mention) != raw.npos;
    if (!is_private &&
        (channels == Channels::never || (channels == Channels::mention && !is_named)))
        return {};
    if (raw.starts_with(mention)) {
        auto const rest = trimmed(raw.substr(mention.size()));
        if (!rest.empty()) raw = rest;
    }
    Place place{std::string(channel), {}};
    if (auto const thread = event["thread_ts"].text(); is_ts(thread))
        place.thread = thread;
    else if (!is_private && channels == Channels::mention)
        place.thread = ts;  // the answer opens one, and does not fill the channel
    auto const word = raw.starts_with('/') ? command_in(raw.substr(1)) : std::string();
    auto text = readable(raw);
    if (auto const files = note_about_files(event["files"]); !files.empty())
        text += (text.empty() ? "" : "\n") + files;
    if (text.empty()) return {};
    JsonWriter out;
    out.begin('{').pair("type", word.empty() ? "message" : "command");
    if (!word.empty()) out.pair("command", word);
    out.pair("conversation", place.text());
    auto const profile = event["user_profile"];
    write_sender(out, user, profile["display_name"].text(profile["real_name"].text()));
    if (word.empty()) out.pair("text", text);
    out.pair("id", std::string(channel) + "/" + std::string(ts));
    return out.pair("private", is_private).pair("cursor", cursor).end('}').take();
}

std::string press_in(Json const& payload, std::string_view cursor) {
    if (payload["type"].text() != "block_actions") return {};
    auto const user = payload["user"]["id"].text();
    auto const channel = payload["container"]["channel_id"].text(payload["channel"]["id"].text());
    auto const ts = payload["container"]["message_ts"].text(payload["message"]["ts"].text());
    if (!is_id(user) || !is_id(channel) || !is_ts(ts)) return {};
    for (Json const action : payload["actions"]) {
        auto const data = action["value"].text(), when = action["action_ts"].text();
        if (action["type"].text() != "button" || !is_data(data) || !is_ts(when)) continue;
        Place place{std::string(channel), {}};
        if (auto const thread = payload["message"]["thread_ts"].text(); is_ts(thread))
            place.thread = thread;
        JsonWriter out;
        out.begin('{').pair("type", "press").pair("conversation", place.text());
        write_sender(out, user, payload["user"]["name"].text());
        // A button of ours is below a message of ours: a direct message is one with us.
        out.pair("private", channel.starts_with('D')).pair("data", data).pair("message", ts);
        out.pair("id", "press/" + std::string(user) + "/" + std::string(when));
        return out.pair("cursor", cursor).end('}').take();
    }
    return {};
}

// Slack sends none from within a thread.
std::string command_item(Json const& payload, std::string_view cursor) {
    auto const word = command_in(trimmed(payload["text"].text()));
    auto const user = payload["user_id"].text(), channel = payload["channel_id"].text(),
               trigger = payload["trigger_id"].text();
    if (word.empty() || !is_id(user) || !is_id(channel) || trigger.empty()) return {};
    JsonWriter out;
    out.begin('{').pair("type", "command").pair("command", word).pair("conversation", channel);
    write_sender(out, user, payload["user_name"].text());
    out.pair("id", "command/" + std::string(parley::utf8_cut(trigger, envelope_bytes)));
    // It may be given in a direct message of two other people.
    return out.pair("private", false).pair("cursor", cursor).end('}').take();
}

}  // namespace

bool is_ts(std::string_view text) {
    auto const dot = text.find('.');
    if (dot == text.npos || dot == 0 || dot + 1 == text.size() || text.size() > 32) return false;
    return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; }) &&
           text.find('.', dot + 1) == text.npos;
}

std::optional<Place> place_from(std::string_view conversation) {
    auto const colon = conversation.find(':');
    Place out{std::string(conversation.substr(0, colon)), {}};
    if (!is_id(out.channel)) return std::nullopt;
    if (colon == conversation.npos) return out;
    out.thread = conversation.substr(colon + 1);
    if (!is_ts(out.thread)) return std::nullopt;
    return out;
}

std::string readable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto const open = std::min(text.find('<'), text.size());
        out += unescaped(text.substr(0, open));
        text.remove_prefix(open);
        auto const close = text.find('>');
        if (close == text.npos) break;
        out += unescaped(shown_mark(text.substr(1, close - 1)));
        text.remove_prefix(close + 1);
    }
    return out + unescaped(text);
}

Heard heard_in(Json const& message, Me const& me, Channels channels) {
    Heard out;
    auto const type = message["type"].text();
    if (type == "hello") out.kind = Heard::Kind::hello;
    if (type == "disconnect") {
        out.kind = Heard::Kind::disconnect;
        out.reason = shown_name(message["reason"].text());
    }
    auto const id = message["envelope_id"].text();
    if (id.empty() || id.size() > envelope_bytes || out.kind != Heard::Kind::nothing) return out;
    out.kind = Heard::Kind::envelope;
    out.envelope = id;
    Json const payload = message["payload"];
    if (type == "events_api") {
        Json const event = payload["event"];
        auto const kind = event["type"].text();
        if (kind == "message" || kind == "app_mention")
            out.item = message_in(event, me, channels, id);
    } else if (type == "interactive") {
        out.item = press_in(payload, id);
    } else if (type == "slash_commands") {
        out.item = command_item(payload, id);
        if (out.item.empty()) out.reply = "Say status, stop or new behind it.";
    }
    return out;
}

}  // namespace slack
