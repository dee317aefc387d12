#include "smtp.hpp"

#include "address.hpp"
#include "parley/text.hpp"

#include <utility>

namespace email {

namespace {

constexpr std::size_t line_bytes = 8 * 1024;
constexpr std::size_t told_bytes = 300;

// A line that begins with a dot gets one more (RFC 5321, 4.5.2).
std::string stuffed(std::string_view mail) {
    std::string out;
    out.reserve(mail.size() + 16);
    bool at_begin = true;
    for (char const c : mail) {
        if (at_begin && c == '.') out += '.';
        out += c;
        at_begin = c == '\n';
    }
    return out + ".\r\n";
}

bool names_plain(std::string_view text) {
    auto const words = lower(text) + ' ';
    return words.starts_with("auth ") && words.find(" plain ") != words.npos;
}

}  // namespace

std::vector<Smtp::Out> Smtp::heard(std::string_view bytes) {
    arriving_ += bytes;
    for (auto end = arriving_.find('\n'); end != arriving_.npos; end = arriving_.find('\n')) {
        auto line = arriving_.substr(0, end);
        arriving_.erase(0, end + 1);
        if (line.ends_with('\r')) line.pop_back();
        bool const is_reply = line.size() >= 3 && line.find_first_not_of("0123456789") >= 3;
        if (!is_reply) {
            closed("the server does not speak SMTP");
            break;
        }
        auto const text = line.size() > 4 ? std::string_view(line).substr(4) : std::string_view();
        if (waits_ == Waits::hello && names_plain(text)) offers_plain_ = true;
        if (line.size() > 3 && line[3] == '-') continue;
        reply((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'), text);
    }
    if (arriving_.size() > line_bytes) closed("the server sends a line without an end");
    return std::exchange(out_, {});
}

void Smtp::say(std::string line, Waits then, bool has_secret) {
    waits_ = then;
    out_.push_back({std::move(line) + "\r\n", has_secret});
}

void Smtp::reply(int code, std::string_view text) {
    if (outcome_) return;
    int const kind = code / 100;
    switch (waits_) {
        case Waits::greeting:
            if (kind != 2) return fail(code, text);
            return say("EHLO " + own_name_, Waits::hello);
        case Waits::hello:
            if (kind != 2) return fail(code, text);
            if (!offers_plain_) {
                outcome_ = {false, false, false, "auth", "the server takes no login by password"};
                return;
            }
            return say("AUTH PLAIN " + std::string(secret_mark), Waits::login, true);
        case Waits::login:
        case Waits::challenge:
            if (kind == 3 && waits_ == Waits::login)
                return say(std::string(secret_mark), Waits::challenge, true);
            if (kind != 2) return fail(code, text);
            return say("MAIL FROM:<" + envelope_.from + '>', Waits::from);
        case Waits::from:
            if (kind != 2) return fail(code, text);
            return say("RCPT TO:<" + envelope_.to + '>', Waits::to);
        case Waits::to:
            if (kind != 2) return fail(code, text);
            return say("DATA", Waits::data);
        case Waits::data:
            if (kind != 3) return fail(code, text);
            waits_ = Waits::taken;
            out_.push_back({stuffed(envelope_.mail), false});
            return;
        case Waits::taken:
            if (kind != 2) return fail(code, text);
            outcome_ = Outcome{true, false, false, {}, {}};
            return say("QUIT", Waits::quit);
        case Waits::quit:
            return;
    }
}

void Smtp::fail(int code, std::string_view text) {
    bool const is_login = waits_ == Waits::login || waits_ == Waits::challenge;
    // A refusal is an answer: whatever was sent was not taken.
    outcome_ = Outcome{false, false, code / 100 == 4, is_login && code / 100 == 5 ? "auth" : "peer",
                       "the server says " + std::to_string(code) + ": " +
                           parley::visible_utf8(trimmed(text.substr(0, told_bytes)))};
}

void Smtp::closed(std::string_view why) {
    if (outcome_) return;
    // Between the last byte of a mail and the answer to it nobody knows.
    bool const unknown = waits_ == Waits::taken;
    outcome_ = Outcome{false, unknown, !unknown, unknown ? "cut_off" : "peer", std::string(why)};
}

}  // namespace email
