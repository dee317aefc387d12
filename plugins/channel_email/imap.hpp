#pragma once

// The mailbox as a machine: what the server sends goes in, what is to be done comes out. It reads
// new mail in order, one at a time, and marks as seen only what it is told to. It has no clock and
// no network, and never sees the password.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace email {

struct Place {
    std::uint32_t validity = 0;  // of the folder's numbers
    std::uint32_t last = 0;      // the last mail that is dealt with

    std::string to_text() const;
    static std::optional<Place> from(std::string_view text);
};

struct ImapSettings {
    std::string user, folder;
};

// Bytes for the server. The password's place is marked by secret_mark.
struct Write {
    std::string bytes;
    bool has_secret = false;
};
struct Ready {};  // the folder is open
struct Fetched {
    Place place;
    std::string bytes;
    bool is_cut = false;  // the mail is larger; this is its beginning
};
struct Note {
    std::string text;
};
struct End {
    std::string code, message;
    bool retryable = true;
};
using Step = std::variant<Write, Ready, Fetched, Note, End>;
using Steps = std::vector<Step>;

class Imap {
public:
    static constexpr std::string_view secret_mark = "{secret}";
    static constexpr std::size_t mail_bytes = 1 << 20;  // read of one mail; the rest stays there

    // `from`: where to go on; nothing begins with what comes from now on.
    Imap(ImapSettings settings, std::optional<Place> from);

    Steps heard(std::string_view bytes);
    // The host has this mail: the server may show it as read.
    Steps seen(Place const& place);
    // The next mail is wanted; after each Fetched none comes before this.
    Steps go_on();
    // Once a minute: looks for new mail, or whether the server still lives.
    Steps minute();
    // In good order.
    Steps leave();

private:
    enum class Doing {
        greeting,
        capability,
        login,
        select,
        search,
        fetch,
        store,
        idle,
        noop,
        logout
    };
    struct Command {
        Doing doing = Doing::noop;
        std::string line;
        bool has_secret = false;
    };
    // A whole response: its text with each literal's place left as {n}, and the literals.
    struct Response {
        std::string text;
        std::vector<std::string> literals;
    };

    void take(Response const& response);
    void untagged(Response const& response);
    void ended(bool fine, std::string_view text);
    void selected();
    void fetched(Response const& response);
    void ask(Doing doing, std::string line, bool has_secret = false);
    void next();
    void look();
    void end(std::string code, std::string message, bool retryable = true);
    bool is_over() const { return has_ended_; }

    ImapSettings settings_;
    std::optional<Place> from_;
    Place at_;
    Steps steps_;
    std::string arriving_;  // not yet a whole response
    Response response_;     // the part of it that is
    std::size_t literal_left_ = 0;
    std::deque<Command> commands_;  // the first is under way
    std::size_t tag_ = 0;
    std::string tag_text_;
    bool is_under_way_ = false;
    bool can_idle_ = false, can_begin_at_once_ = false, may_log_in_ = true;
    bool is_open_ = false, is_wanted_ = true, has_ended_ = false;
    bool idle_stands_ = false, idle_ends_ = false;
    bool has_news_ = false, heard_since_minute_ = true;
    int minutes_idle_ = 0;
    std::uint32_t validity_ = 0, next_uid_ = 0;
    std::deque<std::uint32_t> found_;  // to be fetched, in order
    std::optional<Fetched> fetching_;
};

}  // namespace email
