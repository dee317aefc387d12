#pragma once

// One connection to an IRC server as a machine: lines and ticks go in, what is to be done comes
// out. It has no clock and no network, and never sees a secret.
#include "accounts.hpp"
#include "line.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace irc {

struct Settings {
    std::string host;
    std::uint16_t port = 6697;
    bool tls = true;
    std::string nick, username, realname;
    std::vector<std::string> channels;
    bool always = false;           // every line of a channel is a message, not only those to us
    bool sasl = false;
    std::string account;           // for sasl
    bool server_password = false;
    std::int64_t send_interval_ms = 700;
};

// A line for the server, without its end. The secret's place in it is marked by the mark.
struct Write {
    enum class Secret { none, server_password, sasl_password };
    std::string line;
    Secret secret = Secret::none;
};
// Registered, and the channels are asked for.
struct Ready {};
struct Message {
    std::string conversation;
    std::vector<std::string> ids;  // typed, strongest first
    std::string name, text, id;
    bool is_private = false;
};
// For the operator.
struct Note {
    std::string text;
};
// The connection is of no more use. Always the last step.
struct End {
    std::string code, message;
    bool retryable = true;
};
using Step = std::variant<Write, Ready, Message, Note, End>;
using Steps = std::vector<Step>;

class Session {
public:
    static constexpr std::string_view secret_mark = "{secret}";

    explicit Session(Settings const& settings);

    // The connection stands.
    Steps opened();
    // A line came; one that is no IRC changes nothing.
    Steps heard(std::string_view bytes);
    // Once a minute: asks whether the server still lives, and mends what could not be had before
    // (the nick, a channel).
    Steps minute();

    bool is_ready() const { return is_ready_; }
    std::string const& nick() const { return nick_; }
    // The most that the server may put before what we say.
    std::size_t mask_bytes() const;

private:
    using Handler = void (Session::*)(Line const&);
    static std::map<std::string_view, Handler> const& handlers();

    // Registration.
    void on_cap(Line const& line);
    void on_offered(std::string_view list, bool is_last);
    void on_authenticate(Line const& line);
    void on_sasl_done(Line const& line);
    void on_sasl_failed(Line const& line);
    void on_welcome(Line const& line);
    void on_support(Line const& line);
    void on_motd_end(Line const& line);
    void on_nick_taken(Line const& line);
    void on_bad_nick(Line const& line);
    void on_wrong_password(Line const& line);
    void on_banned(Line const& line);
    void on_error(Line const& line);
    void end_negotiation();

    // Life.
    void on_ping(Line const& line);
    void on_join(Line const& line);
    void on_join_refused(Line const& line);
    void on_part(Line const& line);
    void on_kick(Line const& line);
    void on_quit(Line const& line);
    void on_nick(Line const& line);
    void on_account(Line const& line);
    void on_privmsg(Line const& line);

    void write(std::string line, Write::Secret secret = Write::Secret::none);
    void join_missing();
    void left(std::string_view channel);
    void end(std::string code, std::string message, bool retryable = true);
    std::string fold(std::string_view name) const { return folded(name, mapping_); }
    bool is_me(std::string_view nick) const { return fold(nick) == fold(nick_); }
    bool is_channel(std::string_view target) const;
    bool has(std::string_view capability) const { return active_.contains(capability); }
    // Leaves what is said to us; false, and nothing changed, when it is said to all.
    bool take_address(std::string& text) const;
    std::vector<std::string> ids_of(Line const& line) const;

    Settings const& settings_;
    Steps steps_;
    std::string nick_;              // the one we have, or are asking for
    std::size_t mask_bytes_ = 0;    // as seen in our own joins
    int nick_tries_ = 0;
    bool is_negotiating_ = true;    // CAP END is not sent yet
    bool is_welcome_ = false;       // 001 came
    bool is_ready_ = false;
    bool has_ended_ = false;
    bool sasl_asked_ = false, sasl_answered_ = false, sasl_done_ = false;
    bool heard_since_minute_ = true;
    std::set<std::string, std::less<>> offered_, active_;  // capabilities
    std::string sasl_mechanisms_;   // as offered; empty: not said
    CaseMapping mapping_ = CaseMapping::rfc1459;
    std::string channel_types_ = "#&", status_marks_;
    std::set<std::string, std::less<>> joined_;                         // folded
    std::map<std::string, std::string, std::less<>> refused_;           // folded: reason told
    Accounts accounts_;
};

}  // namespace irc
