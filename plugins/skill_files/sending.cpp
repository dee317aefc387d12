// The skill that lets a file out. Only the host can send it: it gets the bytes as a blob, holds
// them against what was approved, and gives them to the conversation's channel.
#include "skills.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace files {
namespace {

using parley::Call;
using parley::Emit;
using parley::Host;
using parley::Json;
using parley::JsonWriter;

constexpr std::size_t piece_bytes = 64 * 1024;

struct Type {
    std::string_view ending, name;
};
constexpr std::array<Type, 20> types = {
    {{"csv", "text/csv"},          {"gif", "image/gif"},      {"gz", "application/gzip"},
     {"html", "text/html"},        {"jpeg", "image/jpeg"},    {"jpg", "image/jpeg"},
     {"json", "application/json"}, {"md", "text/markdown"},   {"mp3", "audio/mpeg"},
     {"mp4", "video/mp4"},         {"ogg", "audio/ogg"},      {"pdf", "application/pdf"},
     {"png", "image/png"},         {"svg", "image/svg+xml"},  {"tar", "application/x-tar"},
     {"txt", "text/plain"},        {"wav", "audio/wav"},      {"webp", "image/webp"},
     {"xml", "application/xml"},   {"zip", "application/zip"}}};

std::string_view type_of(std::string_view name) {
    auto const ending = name.substr(std::min(name.rfind('.') + 1, name.size()));
    for (auto const& type : types) {
        if (type.ending == ending) return type.name;
    }
    return "application/octet-stream";
}

struct Sending {
    Call call;
    std::string path, content;
    parley::BlobWriter blob;
    std::size_t at = 0;
    bool is_whole = false;
};

void go_on(Sending& one) {
    while (one.at < one.content.size()) {
        auto const piece = std::string_view(one.content).substr(one.at, piece_bytes);
        auto const answer = one.blob.write(piece);
        // A blob that has failed says why by itself.
        if (answer == Emit::refused && one.blob.is_open())
            return one.call.fail("limit", "the host took no more of the file");
        if (answer == Emit::refused) return;
        one.at += piece.size();
        if (answer == Emit::pause) return;
    }
    if (!std::exchange(one.is_whole, true)) one.blob.finish();
}

void queued(Sending& one, parley::Blob const& blob) {
    std::string_view const name = std::string_view(one.path).substr(one.path.rfind('/') + 1);
    JsonWriter out;
    out.begin('{').pair("content", "Queued " + one.path + ", " + std::to_string(blob.bytes) +
                                       " bytes, to be sent to this conversation.");
    out.pair("error", false).key("attachments").begin('[').begin('{').pair("blob", blob.id);
    out.pair("name", parley::visible_utf8(name)).pair("type", type_of(name));
    one.call.complete_ok(out.pair("bytes", blob.bytes).end('}').end(']').end('}').text());
}

}  // namespace

void send_file(Host& host, Call& call, Tree const& tree, Json const& arguments,
               Json const& expect) {
    auto const one = std::make_shared<Sending>();
    std::string_view const wanted = arguments["path"].text();
    one->path = tree.relative(wanted);
    one->content = read_all(tree.open_file(one->path, sent_bytes).get(), sent_bytes);
    if (hash_of(one->content) != expect[wanted].text()) {
        throw Problem("the file has changed since this was approved; nothing was sent");
    }
    one->call = std::move(call);
    one->call.on_resume([one] { go_on(*one); });
    one->blob = host.blob_put(one->call, [one](auto const& blob, auto const& failure) {
        if (failure) return one->call.fail(*failure);
        queued(*one, *blob);
    });
    if (one->blob.is_open()) go_on(*one);
}

}  // namespace files
