#include "plugin/attachment.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/blobs.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

// A character alone is shown as it is, or it cannot be seen.
std::string seen_characters(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 1;
        while (at + length < text.size() &&
               (static_cast<unsigned char>(text[at + length]) & 0xc0) == 0x80)
            ++length;
        auto one = text.substr(at, length);
        at += length;
        if (one != "\n" && (one == "\\" || visible(one) == one)) out += one;
    }
    return out;
}

// Where ".pdf" begins; the end when there is none, or none so short.
std::size_t extension_at(std::string_view name) {
    constexpr std::size_t longest = 16;
    auto dot = name.rfind('.');
    return dot == name.npos || dot == 0 || name.size() - dot > longest ? name.size() : dot;
}

bool is_media_type(std::string_view text) {
    auto slash = text.find('/');
    return slash != text.npos && slash > 0 && slash + 1 < text.size() &&
           text.size() <= limits::attachment_type_bytes &&
           text.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "!#$&^_.+-/") == text.npos &&
           text.find('/', slash + 1) == text.npos;
}

}  // namespace

std::string plain_file_name(std::string_view text) {
    if (auto slash = text.find_last_of("/\\"); slash != text.npos) text.remove_prefix(slash + 1);
    auto name = seen_characters(text);
    auto first = name.find_first_not_of(". -");
    name.erase(0, std::min(first, name.size()));
    while (name.ends_with(' ') || name.ends_with('.')) name.pop_back();
    if (name.size() > limits::attachment_name_bytes) {
        auto ending = name.substr(extension_at(name));
        name = std::string(clipped(name, limits::attachment_name_bytes - ending.size())) + ending;
    }
    return name.empty() ? "file" : name;
}

std::vector<Attachment> attachments_in(json::value const& object, std::string_view key) {
    std::vector<Attachment> out;
    auto const* list = member(object, key);
    if (!list || !list->is_array()) return out;
    for (auto const& item : list->get_array()) {
        Attachment one;
        one.blob = text_at(item, "blob");
        if (!is_blob_id(one.blob) || out.size() == limits::attachments) continue;
        one.name = plain_file_name(text_at(item, "name"));
        one.type = text_at(item, "type");
        if (!is_media_type(one.type)) one.type.clear();
        one.bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, int_at(item, "bytes")));
        out.push_back(std::move(one));
    }
    return out;
}

void write_attachments(JsonWriter& out, std::vector<Attachment> const& attachments) {
    out.begin('[');
    for (auto const& one : attachments) {
        out.begin('{').pair("blob", one.blob).pair("name", one.name);
        if (!one.type.empty()) out.pair("type", one.type);
        out.pair("bytes", static_cast<std::int64_t>(one.bytes)).end('}');
    }
    out.end(']');
}

}  // namespace parley
