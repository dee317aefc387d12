#pragma once

// What the agent says, as parameters of the Bot API's methods.
#include "html.hpp"
#include "parley/host.hpp"
#include "update.hpp"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace telegram {

constexpr std::size_t message_units = 4096;  // UTF-16, after the styles are taken out
constexpr std::size_t caption_units = 1024;
constexpr std::size_t parts_most = 16;       // of one message: they must leave within its time

struct Document {
    std::string blob, name, type;
};
struct Part {
    Styled text;            // with a file: its caption
    bool is_plain = false;  // no styles, exactly these characters
    std::optional<Document> file = {};
};

// The parts in order; none when there is nothing to see. Behind the last that is allowed stands
// that the text was cut.
std::deque<Part> parts_from(std::string_view text, bool is_markdown);
// With files behind the text, each a part; what is short enough stands under the first.
std::deque<Part> parts_from(std::string_view text, bool is_markdown,
                            parley::Json const& attachments);
// The same for an edit, which has one.
std::optional<Part> one_part_from(std::string_view text, bool is_markdown);

// {"inline_keyboard":…} from rows of {"text","data"}; empty without any.
std::string keyboard_from(parley::Json const& buttons);

// Parameters that each message has: the place, and the text as `part` has it. `more` adds the rest.
void write_place(parley::JsonWriter& out, Place const& place);
void write_part(parley::JsonWriter& out, Part const& part);
// The same for a part with a file.
std::vector<parley::HttpPart> form_of(Place const& place, Part const& part,
                                      std::string const& keyboard);

}  // namespace telegram
