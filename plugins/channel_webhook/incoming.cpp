#include "incoming.hpp"

namespace webhook {

namespace {

using parley::Json;
using parley::JsonWriter;

// The host's own bounds.
constexpr std::size_t text_bytes = 64 * 1024, name_bytes = 512;

Incoming wrong(std::string why) {
    return {{}, std::move(why)};
}

// Typed, as the gate compares it. The sender of the request is trusted to know who speaks.
std::string identity_from(std::string_view sender) {
    if (sender.starts_with("id:") || sender.starts_with("account:")) return std::string(sender);
    return sender.find(':') == sender.npos ? "id:" + std::string(sender) : std::string();
}

}  // namespace

Incoming incoming_from(Json const& body, std::string_view id) {
    if (!body.is_object()) return wrong("the body is no JSON object");
    for (auto const* name : {"conversation", "sender", "text"})
        if (!body[name].is_string() || body[name].text().empty())
            return wrong(std::string(name) + " is missing, or no text");
    for (auto const* name : {"id", "name"})
        if (body[name].exists() && !body[name].is_string())
            return wrong(std::string(name) + " is no text");
    if (body["private"].exists() && !body["private"].is_boolean())
        return wrong("private is neither true nor false");
    auto const conversation = body["conversation"].text(), text = body["text"].text();
    auto const key = body["id"].text(id), name = body["name"].text();
    auto const identity = identity_from(body["sender"].text());
    if (identity.empty()) return wrong("sender is neither id:…, account:… nor a plain name");
    if (conversation.size() > name_bytes || identity.size() > name_bytes ||
        key.size() > name_bytes || name.size() > name_bytes)
        return wrong("conversation, sender, name or id is longer than 512 bytes");
    if (text.size() > text_bytes) return wrong("text is longer than 65536 bytes");
    JsonWriter out;
    out.begin('{').pair("type", "message").pair("conversation", conversation);
    out.key("sender").begin('{').key("ids").begin('[').value(identity).end(']');
    if (!name.empty()) out.pair("name", name);
    out.end('}').pair("text", text).pair("private", body["private"].boolean());
    if (!key.empty()) out.pair("id", key);
    return {out.end('}').take(), {}};
}

std::string with_cursor(std::string const& item, std::string_view cursor) {
    auto const more = parley::json_of("cursor", cursor);
    return item.substr(0, item.size() - 1) + "," + more.substr(1);
}

}  // namespace webhook
