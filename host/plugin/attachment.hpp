#pragma once

// A file that goes with a message: the bytes are a blob, and whoever speaks of it says what it is
// called and of which type. All of that is somebody else's word.
#include "base/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Attachment {
    std::string blob;  // its id
    std::string name;  // a plain file name, never empty
    std::string type;  // a media type, or empty
    std::uint64_t bytes = 0;
};

// Out of a name that somebody else chose, one for a file: in no folder, not hidden, no option
// of a command, of characters that can be seen, of at most limits::attachment_name_bytes; never
// empty.
std::string plain_file_name(std::string_view name);

// The list of that member, at most limits::attachments of it, with names and types made plain. What
// is no attachment is left out, and so is all of it when it is no list.
std::vector<Attachment> attachments_in(json::value const& object, std::string_view key);
// As a value: [{"blob","name","type"?,"bytes"},…].
void write_attachments(JsonWriter& out, std::vector<Attachment> const& attachments);

}  // namespace parley
