// Registration: capabilities, SASL, nick, welcome.
#include "session.hpp"

#include <algorithm>
#include <utility>

namespace irc {

namespace {

// account-notify is what makes the account of extended-join trustworthy for longer than a moment.
constexpr std::string_view wanted[] = {"server-time",   "message-tags",   "account-tag",
                                       "extended-join", "account-notify", "multi-prefix"};
constexpr int nick_tries_most = 8;
constexpr std::size_t capabilities_most = 256;
constexpr std::size_t told_bytes = 300;

template <class Each>
void each_word(std::string_view text, char between, Each each) {
    while (!text.empty()) {
        auto const word = text.substr(0, text.find(between));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        if (!word.empty()) each(word);
    }
}

bool names_plain(std::string_view mechanisms) {
    bool found = false;
    each_word(mechanisms, ',', [&](std::string_view one) { found |= one == "PLAIN"; });
    return found;
}

// What the server said, for a person.
std::string told(std::string_view text) {
    std::string out = without_formatting(decoded(text.substr(0, told_bytes)));
    return out.empty() ? "no reason given" : out;
}

}  // namespace

Session::Session(Settings const& settings) : settings_(settings), nick_(settings.nick) {}

std::map<std::string_view, Session::Handler> const& Session::handlers() {
    static std::map<std::string_view, Handler> const all = {
        {"CAP", &Session::on_cap},
        {"AUTHENTICATE", &Session::on_authenticate},
        {"903", &Session::on_sasl_done},
        {"907", &Session::on_sasl_done},
        {"902", &Session::on_sasl_failed},
        {"904", &Session::on_sasl_failed},
        {"905", &Session::on_sasl_failed},
        {"906", &Session::on_sasl_failed},
        {"908", &Session::on_sasl_failed},
        {"001", &Session::on_welcome},
        {"005", &Session::on_support},
        {"376", &Session::on_motd_end},
        {"422", &Session::on_motd_end},
        {"433", &Session::on_nick_taken},
        {"436", &Session::on_nick_taken},
        {"437", &Session::on_nick_taken},
        {"432", &Session::on_bad_nick},
        {"464", &Session::on_wrong_password},
        {"465", &Session::on_banned},
        {"ERROR", &Session::on_error},
        {"PING", &Session::on_ping},
        {"JOIN", &Session::on_join},
        {"403", &Session::on_join_refused},
        {"405", &Session::on_join_refused},
        {"471", &Session::on_join_refused},
        {"473", &Session::on_join_refused},
        {"474", &Session::on_join_refused},
        {"475", &Session::on_join_refused},
        {"476", &Session::on_join_refused},
        {"477", &Session::on_join_refused},
        {"489", &Session::on_join_refused},
        {"PART", &Session::on_part},
        {"KICK", &Session::on_kick},
        {"QUIT", &Session::on_quit},
        {"NICK", &Session::on_nick},
        {"ACCOUNT", &Session::on_account},
        {"PRIVMSG", &Session::on_privmsg},
    };
    return all;
}

Steps Session::opened() {
    if (settings_.server_password) {
        write("PASS :" + std::string(secret_mark), Write::Secret::server_password);
    }
    write("CAP LS 302");
    write("NICK " + nick_);
    write("USER " + settings_.username + " 0 * :" + settings_.realname);
    return std::exchange(steps_, {});
}

Steps Session::heard(std::string_view bytes) {
    if (has_ended_) return {};
    heard_since_minute_ = true;
    if (auto const line = parse_line(bytes)) {
        auto const found = handlers().find(line->command);
        if (found != handlers().end()) (this->*found->second)(*line);
    }
    return std::exchange(steps_, {});
}

void Session::write(std::string line, Write::Secret secret) {
    // Whatever it is made of, it is one line.
    std::erase_if(line, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
    steps_.push_back(Write{std::move(line), secret});
}

void Session::end(std::string code, std::string message, bool retryable) {
    if (has_ended_) return;
    has_ended_ = true;
    is_ready_ = false;
    steps_.push_back(End{std::move(code), std::move(message), retryable});
}

void Session::on_cap(Line const& line) {
    std::string_view const verb = line.param(1);
    if (verb == "LS" && is_negotiating_) {
        bool const more = line.params.size() > 3 && line.param(2) == "*";
        return on_offered(line.last(), !more);
    }
    if (verb == "DEL") {
        each_word(line.last(), ' ', [&](std::string_view name) {
            if (auto const found = active_.find(name); found != active_.end()) active_.erase(found);
        });
        // What was learnt without account-notify may be old tomorrow.
        return accounts_.forget_all();
    }
    if (!is_negotiating_ || (verb != "ACK" && verb != "NAK")) return;
    if (verb == "NAK") {
        if (settings_.sasl) return end("peer", "the server refused the capabilities", true);
        return end_negotiation();
    }
    each_word(line.last(), ' ', [&](std::string_view name) {
        if (offered_.contains(name)) active_.emplace(name);
    });
    if (!settings_.sasl) return end_negotiation();
    // The answer may come in several lines.
    if (has("sasl") && !std::exchange(sasl_asked_, true)) write("AUTHENTICATE PLAIN");
}

void Session::on_offered(std::string_view list, bool is_last) {
    each_word(list, ' ', [&](std::string_view item) {
        auto const name = item.substr(0, item.find('='));
        if (offered_.size() < capabilities_most) offered_.emplace(name);
        if (name == "sasl" && name.size() < item.size()) {
            sasl_mechanisms_ = item.substr(name.size() + 1);
        }
    });
    if (!is_last) return;
    std::string ask;
    for (auto const name : wanted) {
        if (offered_.contains(name)) ask += (ask.empty() ? "" : " ") + std::string(name);
    }
    if (settings_.sasl) {
        // Services that are away for a while take the capability with them.
        if (!offered_.contains("sasl")) return end("peer", "the server offers no SASL now", true);
        if (!sasl_mechanisms_.empty() && !names_plain(sasl_mechanisms_)) {
            return end("auth", "the server offers no SASL PLAIN, only " + told(sasl_mechanisms_),
                       false);
        }
        ask += (ask.empty() ? "" : " ") + std::string("sasl");
    }
    if (ask.empty()) return end_negotiation();
    write("CAP REQ :" + ask);
}

void Session::on_authenticate(Line const& line) {
    // Once, when asked for, and never in the clear.
    bool const may = sasl_asked_ && !sasl_answered_ && settings_.tls;
    if (!may || line.param(0) != "+") return;
    sasl_answered_ = true;
    write("AUTHENTICATE " + std::string(secret_mark), Write::Secret::sasl_password);
}

void Session::on_sasl_done(Line const&) {
    if (!sasl_answered_) return;
    sasl_done_ = true;
    end_negotiation();
}

void Session::on_sasl_failed(Line const& line) {
    if (!settings_.sasl || sasl_done_) return;
    end("auth", "the server refused the SASL login: " + told(line.last()), false);
}

void Session::end_negotiation() {
    if (!is_negotiating_ || has_ended_) return;
    is_negotiating_ = false;
    write("CAP END");
}

void Session::on_welcome(Line const& line) {
    if (is_welcome_) return;
    // A server without capabilities goes on without asking; so may one that plays one.
    if (settings_.sasl && !sasl_done_) {
        return end("auth", "the server let us in without the SASL login", false);
    }
    is_welcome_ = true;
    is_negotiating_ = false;
    if (is_target(line.param(0)) && line.param(0) != "*") nick_ = line.param(0);
}

void Session::on_support(Line const& line) {
    for (auto const& item : line.params) {
        auto const equals = item.find('=');
        if (equals == item.npos) continue;
        auto const value = item.substr(equals + 1);
        if (item.starts_with("CASEMAPPING=")) mapping_ = casemapping_named(value);
        if (item.starts_with("CHANTYPES=")) channel_types_ = value;
        if (item.starts_with("STATUSMSG=")) status_marks_ = value;
    }
}

void Session::on_motd_end(Line const&) {
    if (!is_welcome_ || is_ready_) return;
    is_ready_ = true;
    join_missing();
    steps_.push_back(Ready{});
}

void Session::on_nick_taken(Line const& line) {
    // Later it is only the answer to our wish for the old nick.
    if (is_welcome_) return;
    if (++nick_tries_ > nick_tries_most) {
        return end("peer", "every nick that was tried is taken: " + told(line.last()));
    }
    nick_ = settings_.nick + std::string(static_cast<std::size_t>(nick_tries_), '_');
    write("NICK " + nick_);
}

void Session::on_bad_nick(Line const& line) {
    if (is_welcome_) return;
    end("invalid", "the server refuses the nick: " + told(line.last()), false);
}

void Session::on_wrong_password(Line const& line) {
    end("auth", "the server refuses the password: " + told(line.last()), false);
}

void Session::on_banned(Line const& line) {
    end("denied", "the server has banned us: " + told(line.last()), false);
}

void Session::on_error(Line const& line) {
    // Some servers say it only here, in words.
    std::string const words = folded(line.last(), CaseMapping::ascii);
    bool const password = words.find("password") != words.npos;
    if (!is_welcome_ && password) return on_wrong_password(line);
    end("peer", "the server closed the link: " + told(line.last()));
}

Steps Session::minute() {
    if (has_ended_) return {};
    if (!is_ready_) {
        end("timeout", "the server did not let us in within a minute");
    } else if (!std::exchange(heard_since_minute_, false)) {
        end("timeout", "the server has not answered for a minute");
    } else {
        write("PING :parley");
        // While the nick is still somebody's, the server says no, and nothing changes.
        if (!is_me(settings_.nick)) write("NICK " + settings_.nick);
        join_missing();
    }
    return std::exchange(steps_, {});
}

}  // namespace irc
