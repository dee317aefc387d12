#include "update.hpp"

#include "html.hpp"
#include "parley/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace telegram {

namespace {

using parley::Json;
using parley::JsonWriter;

constexpr std::size_t name_bytes = 128;
constexpr std::size_t why_bytes = 200;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    auto const first = text.find_first_not_of(" \t\r\n");
    return text.substr(first == text.npos ? text.size() : first);
}

// On one line, and without the brackets that our own notes stand in.
std::string shown_name(std::string_view name, std::size_t most = name_bytes) {
    std::string out(parley::utf8_cut(name, most));
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 32 || c == '[' || c == ']'; }, ' ');
    return out;
}

std::string name_of(Json const& person) {
    std::string out(person["first_name"].text(person["title"].text()));
    if (auto const last = person["last_name"].text(); !last.empty()) out += " " + std::string(last);
    return shown_name(out);
}

// An entity's part of the text; its numbers are UTF-16 units, and somebody else's.
std::string_view part_of(std::string_view text, Json const& entity) {
    auto const offset = entity["offset"].integer(), length = entity["length"].integer();
    if (offset < 0 || length <= 0) return {};
    text.remove_prefix(utf16_cut(text, static_cast<std::size_t>(offset)).size());
    return utf16_cut(text, static_cast<std::size_t>(length));
}

// What came with a message and is no text: what it is called, and where it stands.
struct Kind {
    std::string_view field, name;
    std::string_view ending = {}, type = {};  // of a file, unless it says otherwise
};
constexpr std::array<Kind, 20> kinds = {{{"photo", "photo", "jpg", "image/jpeg"},
                                         {"live_photo", "photo"},
                                         {"rich_message", "formatted message"},
                                         {"animation", "animation", "mp4", "video/mp4"},
                                         {"document", "file", "bin", "application/octet-stream"},
                                         {"voice", "voice message", "ogg", "audio/ogg"},
                                         {"audio", "audio", "mp3", "audio/mpeg"},
                                         {"video", "video", "mp4", "video/mp4"},
                                         {"video_note", "video message", "mp4", "video/mp4"},
                                         {"sticker", "sticker"},
                                         {"venue", "place"},
                                         {"location", "place"},
                                         {"contact", "contact"},
                                         {"poll", "poll"},
                                         {"dice", "dice"},
                                         {"story", "story"},
                                         {"paid_media", "paid media"},
                                         {"game", "game"},
                                         {"checklist", "checklist"},
                                         {"invoice", "invoice"}}};

Kind const* kind_of(Json const& message) {
    for (auto const& kind : kinds) {
        if (message[kind.field].exists()) return &kind;
    }
    return nullptr;
}

// Nothing that a person sent vanishes without a word.
std::string note_about_media(Json const& message, std::string_view why) {
    auto const* const kind = kind_of(message);
    if (!kind) return {};
    Json const media = message[kind->field];
    std::string out = "[" + std::string(kind->name);
    auto const detail = media["file_name"].text(media["emoji"].text(media["title"].text()));
    out += ", not taken";
    if (!detail.empty()) out += ": " + shown_name(detail);
    if (!why.empty()) out += " (" + shown_name(why, why_bytes) + ")";
    return out + "]";
}

// A photo comes in several sizes: the largest that is no larger than a file may be.
Json best_of(Json const& sizes) {
    Json best;
    std::int64_t most = -1;
    for (Json const size : sizes) {
        auto const pixels = size["width"].integer() * size["height"].integer();
        if (pixels <= most || size["file_size"].integer() > file_bytes_most) continue;
        most = pixels;
        best = size;
    }
    return best;
}

std::optional<File> file_of(Json const& message) {
    auto const* const kind = kind_of(message);
    if (!kind || kind->ending.empty()) return std::nullopt;
    Json const found = message[kind->field];
    Json const media = kind->field == "photo" ? best_of(found) : found;
    File out;
    out.id = media["file_id"].text();
    if (out.id.empty()) return std::nullopt;
    out.name = media["file_name"].text();
    if (out.name.empty()) {
        out.name = std::string(kind->field) + "-" +
                   std::to_string(message["message_id"].integer()) + "." +
                   std::string(kind->ending);
    }
    out.type = media["mime_type"].text(kind->type);
    out.bytes = media["file_size"].integer();
    return out;
}

std::string note_about_forward(Json const& origin) {
    if (!origin.exists()) return {};
    auto name = name_of(origin["sender_user"]);
    if (name.empty()) name = shown_name(origin["sender_user_name"].text());
    if (name.empty()) name = name_of(origin["sender_chat"]);
    if (name.empty()) name = name_of(origin["chat"]);
    return "[forwarded" + (name.empty() ? "" : " from " + name) + "]";
}

class Reader {
public:
    Reader(Json const& message, Me const& me, Groups groups)
        : message_(message), me_(me), groups_(groups) {
        bool const is_text = message["text"].exists();
        text_ = message[is_text ? "text" : "caption"].text();
        entities_ = message[is_text ? "entities" : "caption_entities"];
        is_private_ = message["chat"]["type"].text() == "private";
    }

    std::string item(std::string_view cursor, Fetched const& fetched) {
        if (message_["business_connection_id"].exists() || sender().empty()) return {};
        if (!place_from(place().text())) return {};
        bool const forwarded = message_["forward_origin"].exists();
        auto const command = forwarded ? std::string() : take_command();
        if (is_for_another_bot_ || (!is_private_ && !is_for_us())) return {};
        bool const has_file = !fetched.blob.empty();
        auto const media = has_file ? std::string() : note_about_media(message_, fetched.why);
        if (text_.empty() && media.empty() && !has_file) return {};  // somebody joined
        JsonWriter out;
        auto const word = own_command(command);
        out.begin('{').pair("type", word.empty() ? "message" : "command");
        if (!word.empty()) out.pair("command", word);
        out.pair("conversation", place().text());
        out.key("sender").begin('{').key("ids").begin('[').value(sender()).end(']');
        out.pair("name", name_of(by_chat() ? message_["sender_chat"] : message_["from"])).end('}');
        if (word.empty()) {
            std::string text = note_about_forward(message_["forward_origin"]);
            for (auto const& more : {text_, media}) {
                if (!more.empty()) text += (text.empty() ? "" : "\n") + more;
            }
            out.pair("text", text);
            if (has_file) write_file(out, fetched);
        }
        out.pair("id", id()).pair("private", is_private_).pair("cursor", cursor);
        return out.end('}').take();
    }

    Place place() const {
        bool const in_topic = message_["is_topic_message"].boolean();
        return {message_["chat"]["id"].integer(),
                in_topic ? message_["message_thread_id"].integer() : 0};
    }
    std::string id() const {
        return std::to_string(message_["chat"]["id"].integer()) + "/" +
               std::to_string(message_["message_id"].integer());
    }

private:
    void write_file(JsonWriter& out, Fetched const& fetched) const {
        auto const file = file_of(message_).value_or(File{});
        out.key("attachments").begin('[').begin('{').pair("blob", fetched.blob);
        out.pair("name", parley::utf8_cut(file.name, name_bytes)).pair("type", file.type);
        out.pair("bytes", fetched.bytes).end('}').end(']');
    }

    // A channel, or an administrator behind the group's name: nobody knows which person it is.
    bool by_chat() const { return message_["sender_chat"].exists(); }
    std::string sender() const {
        if (by_chat()) return "chat:" + std::to_string(message_["sender_chat"]["id"].integer());
        Json const from = message_["from"];
        // Two bots that answer each other would never end.
        if (from["is_bot"].boolean() || from["id"].integer() <= 0) return {};
        return "id:" + std::to_string(from["id"].integer());
    }

    bool is_my_name(std::string_view name) const {
        return !me_.username.empty() && lower(name) == lower(me_.username);
    }

    // "/new" of "/new@bot rest"; the text keeps the command, without the address.
    std::string take_command() {
        for (Json const entity : entities_) {
            if (entity["type"].text() != "bot_command" || entity["offset"].integer() != 0) continue;
            std::string const whole(part_of(text_, entity));
            auto const at = whole.find('@');
            auto const word = whole.substr(0, at);
            if (at != whole.npos && !is_my_name(std::string_view(whole).substr(at + 1))) {
                is_for_another_bot_ = true;
                return {};
            }
            is_addressed_ = at != whole.npos;
            text_ = word + text_.substr(whole.size());
            return word;
        }
        return {};
    }
    static std::string own_command(std::string_view word) {
        if (word == "/status" || word == "/stop" || word == "/new")
            return std::string(word.substr(1));
        // Whoever opens the chat sees that somebody is there; the model is not asked for it.
        return word == "/start" ? "status" : "";
    }

    bool is_for_us() {
        if (groups_ == Groups::never) return false;
        bool const mentioned = take_mention();
        return groups_ == Groups::all || mentioned || is_addressed_ || answers_us();
    }
    bool answers_us() const {
        Json const other = message_["reply_to_message"];
        // All that stands in a topic answers the note that opened it.
        bool const is_note = other["forum_topic_created"].exists();
        return !is_note && other["from"]["id"].integer() == me_.id;
    }
    // Takes the mention away where the text begins with it.
    bool take_mention() {
        bool found = false;
        for (Json const entity : entities_) {
            auto const kind = entity["type"].text();
            std::string const part(part_of(text_, entity));
            bool const by_name = kind == "mention" && part.starts_with('@') &&
                                 is_my_name(std::string_view(part).substr(1));
            bool const by_id = kind == "text_mention" && entity["user"]["id"].integer() == me_.id;
            if (!by_name && !by_id) continue;
            found = true;
            if (entity["offset"].integer() != 0) continue;
            std::string const rest(trimmed(std::string_view(text_).substr(part.size())));
            if (!rest.empty()) text_ = rest;
            break;
        }
        return found;
    }

    Json const message_;
    Me const& me_;
    Groups const groups_;
    std::string text_;
    Json entities_;
    bool is_private_ = false;
    bool is_addressed_ = false;  // a command with our name behind it
    bool is_for_another_bot_ = false;
};

// As the host gave it to a button of ours.
bool is_data(std::string_view data) {
    return !data.empty() && data.size() <= 48 && std::all_of(data.begin(), data.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_';
    });
}

Heard press_in(Json const& query, Me const& me, Groups groups, std::string_view cursor) {
    Heard out;
    out.query = query["id"].text();
    Json const message = query["message"];
    auto const data = query["data"].text();
    auto const person = query["from"]["id"].integer();
    if (out.query.empty() || !is_data(data) || !message.exists() || person <= 0) return out;
    Reader const under(message, me, groups);
    if (!place_from(under.place().text())) return out;
    JsonWriter item;
    item.begin('{').pair("type", "press").pair("conversation", under.place().text());
    item.key("sender").begin('{').key("ids").begin('[').value("id:" + std::to_string(person));
    item.end(']').pair("name", name_of(query["from"])).end('}');
    item.pair("private", message["chat"]["type"].text() == "private").pair("data", data);
    item.pair("message", std::to_string(message["message_id"].integer()));
    item.pair("id", "press/" + out.query).pair("cursor", cursor);
    out.item = item.end('}').take();
    return out;
}

}  // namespace

std::string Place::text() const {
    return std::to_string(chat) + (topic != 0 ? ":" + std::to_string(topic) : "");
}

std::optional<std::int64_t> message_id_from(std::string_view id) {
    std::int64_t out = 0;
    auto const read = std::from_chars(id.data(), id.data() + id.size(), out);
    if (read.ec != std::errc{} || read.ptr != id.data() + id.size() || out <= 0)
        return std::nullopt;
    return out;
}

std::optional<Place> place_from(std::string_view conversation) {
    Place out;
    auto const* const end = conversation.data() + conversation.size();
    auto read = std::from_chars(conversation.data(), end, out.chat);
    if (read.ec != std::errc{} || out.chat == 0) return std::nullopt;
    if (read.ptr != end) {
        if (*read.ptr != ':') return std::nullopt;
        read = std::from_chars(read.ptr + 1, end, out.topic);
        if (read.ec != std::errc{} || read.ptr != end || out.topic <= 0) return std::nullopt;
    }
    return out;
}

Heard heard_in(Json const& update, Me const& me, Groups groups, Fetched const& fetched) {
    constexpr std::int64_t largest = std::int64_t{1} << 52;  // as the Bot API promises
    auto const next = std::clamp<std::int64_t>(update["update_id"].integer(), 0, largest) + 1;
    auto const cursor = std::to_string(next);
    Heard out;
    if (update["callback_query"].exists()) {
        out = press_in(update["callback_query"], me, groups, cursor);
    } else if (update["message"].exists()) {
        out.item = Reader(update["message"], me, groups).item(cursor, fetched);
        if (!out.item.empty()) out.file = file_of(update["message"]);
    }
    out.next = next;
    return out;
}

}  // namespace telegram
