#include "plugin/tape.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <array>

namespace parley {

namespace {

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> kinds = {
    {{PARLEY_HTTP_HEAD, "head"},
     {PARLEY_HTTP_DATA, "data"},
     {PARLEY_HTTP_EVENT, "event"},
     {PARLEY_HTTP_DONE, "done"},
     {PARLEY_HTTP_FAILED, "failed"}}};

// Bytes that are no text are kept in hexadecimal.
void write_bytes(JsonWriter& out, std::string const& name, std::string_view bytes) {
    if (is_utf8(bytes))
        out.pair(name, bytes);
    else
        out.pair(name + "_hex", hex(bytes));
}

Result<std::string> read_bytes(json::value const& value, std::string const& name) {
    if (auto text = text_at(value, name + "_hex"); !text.empty()) {
        auto bytes = from_hex(text);
        if (!bytes) return Error(Fault::bad_input, name + "_hex is not hexadecimal");
        return *bytes;
    }
    return std::string(text_at(value, name));
}

Result<Tape::Exchange> read_line(std::string const& line) {
    TRY(value, parse_json(line));
    Tape::Exchange exchange;
    exchange.method = text_at(value, "method");
    exchange.url = text_at(value, "url");
    TRY(body, read_bytes(value, "body"));
    exchange.body = std::move(body);
    auto const* events = member(value, "events");
    if (int_at(value, "tape") != 1 || exchange.url.empty() || !events || !events->is_array())
        return Error(Fault::bad_input, "it is no exchange of a tape");
    for (auto const& event : events->get_array()) {
        TRY(bytes, read_bytes(event, "bytes"));
        std::uint32_t kind = 0;
        for (auto const& [number, word] : kinds)
            if (text_at(event, "kind") == word) kind = number;
        if (kind == 0) return Error(Fault::bad_input, "it holds an event of an unknown kind");
        exchange.events.emplace_back(kind, std::move(bytes));
    }
    bool ends = !exchange.events.empty() && (exchange.events.back().first == PARLEY_HTTP_DONE ||
                                             exchange.events.back().first == PARLEY_HTTP_FAILED);
    if (!ends) return Error(Fault::bad_input, "its exchange has no end");
    return exchange;
}

}  // namespace

Result<std::shared_ptr<Tape>> Tape::record(std::filesystem::path const& path) {
    std::error_code error;
    if (std::filesystem::exists(path, error))
        return Error(Fault::conflict, path.string() + " exists; a tape is never written over");
    auto tape = std::make_shared<Tape>();
    tape->out_.open(path, std::ios::binary | std::ios::app);
    if (!tape->out_) return Error(Fault::unavailable, path.string() + " cannot be written");
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
    return tape;
}

Result<std::shared_ptr<Tape>> Tape::replay(std::filesystem::path const& path) {
    std::error_code error;
    auto size = std::filesystem::file_size(path, error);
    if (error) return Error(Fault::not_found, path.string() + ": " + error.message());
    if (size > limits::tape_bytes) return Error(Fault::bad_input, path.string() + " is too large");
    auto tape = std::make_shared<Tape>();
    std::ifstream in(path, std::ios::binary);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        auto exchange = read_line(line);
        if (!exchange)
            return Error(Fault::bad_input, path.string() + ':' + std::to_string(number) + ": " +
                                               exchange.error().what);
        tape->exchanges_.push_back(std::move(*exchange));
    }
    if (!in.eof()) return Error(Fault::unavailable, path.string() + " cannot be read");
    tape->played_.resize(tape->exchanges_.size());
    return tape;
}

void Tape::add(Exchange const& exchange) {
    JsonWriter out;
    out.begin('{').pair("tape", 1).pair("method", exchange.method).pair("url", exchange.url);
    write_bytes(out, "body", exchange.body);
    out.key("events").begin('[');
    for (auto const& [kind, bytes] : exchange.events) {
        out.begin('{').pair("kind", kinds.at(kind - 1).second);
        write_bytes(out, "bytes", bytes);
        out.end('}');
    }
    out_ << out.end(']').end('}').text() << std::endl;
}

Result<Tape::Exchange const*> Tape::next(std::string_view method, std::string_view url,
                                         std::string_view body) {
    auto found = exchanges_.size();
    for (std::size_t i = 0; i < exchanges_.size(); ++i) {
        auto const& exchange = exchanges_[i];
        if (played_[i] || exchange.method != method || exchange.url != url) continue;
        bool is_same = exchange.body == body;
        if (found == exchanges_.size() || is_same) found = i;
        if (is_same) break;
    }
    if (found == exchanges_.size())
        return Error(Fault::not_found, "the tape holds no further answer to " +
                                           std::string(method) + ' ' + visible(url));
    played_[found] = true;
    return &exchanges_[found];
}

}  // namespace parley
