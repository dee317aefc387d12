#pragma once

// What people do, as the host is told of it: an update of the Bot API is read into an item of
// `run`, or into nothing.
#include "parley/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace telegram {

constexpr std::int64_t file_bytes_most = 20 << 20;  // what Telegram gives to bots

enum class Groups { mention, all, never };

struct Me {
    std::int64_t id = 0;
    std::string username;
};

// A chat, and a topic in it where there is one: "-1001", "-1001:7".
struct Place {
    std::int64_t chat = 0;
    std::int64_t topic = 0;
    bool is_private() const { return chat > 0; }
    std::string text() const;
};
std::optional<Place> place_from(std::string_view conversation);
std::optional<std::int64_t> message_id_from(std::string_view id);

// A file that came with a message.
struct File {
    std::string id;  // Telegram's
    std::string name, type;
    std::int64_t bytes = 0;  // 0: it does not say
};
struct Fetched {
    std::string blob;  // or empty, and
    std::int64_t bytes = 0;
    std::string why;  // it is not there
};

struct Heard {
    std::string item;       // for the host; empty: nothing that concerns it
    std::string query;      // a pressed button, which waits for an answer
    std::int64_t next = 0;  // the offset that confirms the update
    std::optional<File> file;  // of the item, which says that it was not taken
};

// With what became of the file, the item carries it, or says why not.
Heard heard_in(parley::Json const& update, Me const& me, Groups groups,
               Fetched const& fetched = {});

}  // namespace telegram
