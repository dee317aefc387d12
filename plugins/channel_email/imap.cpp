#include "imap.hpp"

#include "address.hpp"
#include "parley/text.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace email {

namespace {

constexpr std::size_t line_bytes = 256 * 1024;  // a search may name many mails
constexpr std::size_t literals_most = 16;
constexpr std::size_t found_most = 100;  // fetched before the folder is asked again
constexpr std::size_t told_bytes = 300;
constexpr int idle_minutes = 25;  // servers end an idle connection after 30 (RFC 2177)

template <class Number>
std::optional<Number> number_in(std::string_view text) {
    Number out = 0;
    auto const done = std::from_chars(text.data(), text.data() + text.size(), out);
    if (done.ec != std::errc() || done.ptr == text.data()) return {};
    return out;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char const c : text) {
        if (c == '\r' || c == '\n' || c == '\0') continue;
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string told(std::string_view text) {
    return parley::visible_utf8(trimmed(text.substr(0, told_bytes)));
}

// The number after `word` in a response.
std::optional<std::uint32_t> number_after(std::string_view text, std::string_view word) {
    auto const at = text.find(word);
    if (at == text.npos) return {};
    return number_in<std::uint32_t>(text.substr(at + word.size()));
}

bool has_word(std::string_view text, std::string_view word) {
    for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        auto const after = at + word.size();
        bool const begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '[';
        bool const ends = after == text.size() || text[after] == ' ' || text[after] == ']';
        if (begins && ends) return true;
    }
    return false;
}

}  // namespace

std::string Place::to_text() const {
    return std::to_string(validity) + ':' + std::to_string(last);
}

std::optional<Place> Place::from(std::string_view text) {
    auto const colon = text.find(':');
    if (colon == text.npos) return {};
    auto const validity = number_in<std::uint32_t>(text.substr(0, colon));
    auto const last = number_in<std::uint32_t>(text.substr(colon + 1));
    if (!validity || !last) return {};
    return Place{*validity, *last};
}

Imap::Imap(ImapSettings settings, std::optional<Place> from)
    : settings_(std::move(settings)), from_(from) {
    commands_.push_back({Doing::greeting, {}, false});
    is_under_way_ = true;
}

void Imap::end(std::string code, std::string message, bool retryable) {
    if (std::exchange(has_ended_, true)) return;
    steps_.push_back(End{std::move(code), std::move(message), retryable});
}

// ---- What arrives.

Steps Imap::heard(std::string_view bytes) {
    heard_since_minute_ = true;
    while (!bytes.empty() && !is_over()) {
        if (literal_left_ > 0) {
            auto const piece = bytes.substr(0, literal_left_);
            response_.literals.back() += piece;
            literal_left_ -= piece.size();
            bytes.remove_prefix(piece.size());
            continue;
        }
        auto const end_of_line = bytes.find('\n');
        arriving_ += bytes.substr(0, end_of_line);
        bytes.remove_prefix(end_of_line == bytes.npos ? bytes.size() : end_of_line + 1);
        if (arriving_.size() + response_.text.size() > line_bytes) {
            end("peer", "the server sends a line without an end");
            break;
        }
        if (end_of_line == bytes.npos) break;
        if (arriving_.ends_with('\r')) arriving_.pop_back();
        response_.text += std::exchange(arriving_, {});
        auto const& text = response_.text;
        auto const open = text.ends_with('}') ? text.rfind('{') : text.npos;
        auto const size = open == text.npos
                              ? std::optional<std::size_t>()
                              : number_in<std::size_t>(std::string_view(text).substr(open + 1));
        if (!size) {
            take(std::exchange(response_, {}));
        } else if (*size > mail_bytes || response_.literals.size() == literals_most) {
            end("peer", "the server sends more than was asked for");
        } else {
            response_.literals.emplace_back();
            literal_left_ = *size;
        }
    }
    return std::exchange(steps_, {});
}

void Imap::take(Response const& response) {
    std::string_view const text = response.text;
    auto const doing = commands_.empty() ? Doing::noop : commands_.front().doing;
    if (doing == Doing::greeting) {
        if (!text.starts_with("* OK") && !text.starts_with("* PREAUTH"))
            return end("peer", "the server does not let us in: " + told(text));
        commands_.pop_front();
        is_under_way_ = false;
        ask(Doing::capability, "CAPABILITY");
        return next();
    }
    if (text.starts_with('+')) {
        if (doing == Doing::login && !commands_.front().has_secret) {
            // The server wanted to be asked before the password comes.
            commands_.front().has_secret = true;
            steps_.push_back(Write{std::string(secret_mark) + "\r\n", true});
        } else if (doing == Doing::idle) {
            idle_stands_ = true;
            if (idle_ends_) steps_.push_back(Write{"DONE\r\n"});
        }
        return;
    }
    if (text.starts_with("* ")) return untagged(response);
    if (!is_under_way_ || !text.starts_with(tag_text_ + ' ')) return;
    auto const answer = text.substr(tag_text_.size() + 1);
    ended(lower(answer.substr(0, 2)) == "ok",
          answer.substr(std::min(answer.find(' '), answer.size())));
}

void Imap::untagged(Response const& response) {
    auto const text = std::string_view(response.text).substr(2);
    auto const upper = [](std::string_view word) {
        std::string out(word);
        for (char& c : out)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        return out;
    }(text.substr(0, 400));
    if (upper.starts_with("CAPABILITY")) {
        can_idle_ = has_word(upper, "IDLE");
        can_begin_at_once_ = has_word(upper, "SASL-IR");
        may_log_in_ = has_word(upper, "AUTH=PLAIN");
    } else if (upper.starts_with("BYE")) {
        if (commands_.empty() || commands_.front().doing != Doing::logout)
            end("peer", "the server closes: " + told(text));
    } else if (upper.starts_with("OK [UIDVALIDITY")) {
        validity_ = number_after(upper, "UIDVALIDITY ").value_or(0);
    } else if (upper.starts_with("OK [UIDNEXT")) {
        next_uid_ = number_after(upper, "UIDNEXT ").value_or(0);
    } else if (upper.starts_with("SEARCH")) {
        for (auto rest = text.substr(6); !rest.empty();) {
            rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
            auto const word = rest.substr(0, rest.find(' '));
            rest.remove_prefix(word.size());
            // A search for "from 8 on" names the last mail, even when that is 7 (RFC 3501, 6.4.8).
            if (auto const uid = number_in<std::uint32_t>(word); uid && *uid > at_.last)
                found_.push_back(*uid);
        }
    } else if (upper.find(" EXISTS") != upper.npos) {
        has_news_ = true;
        if (idle_stands_) look();
    } else if (upper.find(" FETCH ") != upper.npos) {
        fetched(response);
    }
}

void Imap::fetched(Response const& response) {
    auto const uid = number_after(response.text, "UID ");
    auto const size = number_after(response.text, "RFC822.SIZE ");
    // Others may tell flags of mails at any time.
    if (!fetching_ || response.literals.empty() || uid != fetching_->place.last) return;
    fetching_->bytes = response.literals.front();
    fetching_->is_cut = size.value_or(0) > fetching_->bytes.size();
}

// ---- What is asked.

void Imap::ask(Doing doing, std::string line, bool has_secret) {
    commands_.push_back({doing, std::move(line), has_secret});
}

void Imap::next() {
    if (is_under_way_ || is_over()) return;
    if (commands_.empty()) {
        if (!is_open_) return;
        if (is_wanted_ && !found_.empty()) {
            auto const uid = found_.front();
            found_.pop_front();
            fetching_ = Fetched{{at_.validity, uid}, {}, false};
            ask(Doing::fetch, "UID FETCH " + std::to_string(uid) +
                                  " (UID RFC822.SIZE BODY.PEEK[]<0." + std::to_string(mail_bytes) +
                                  ">)");
        } else if (is_wanted_ && std::exchange(has_news_, false)) {
            ask(Doing::search, "UID SEARCH UID " + std::to_string(at_.last + 1) + ":*");
        } else if (is_wanted_ && can_idle_) {
            ask(Doing::idle, "IDLE");
        } else {
            return;
        }
    }
    is_under_way_ = true;
    idle_stands_ = idle_ends_ = false;
    tag_text_ = "p" + std::to_string(++tag_);
    auto const& command = commands_.front();
    steps_.push_back(Write{tag_text_ + ' ' + command.line + "\r\n", command.has_secret});
}

// Something is to be asked: an idle connection is called back first.
void Imap::look() {
    if (!is_under_way_) return next();
    if (commands_.front().doing != Doing::idle || idle_ends_) return;
    idle_ends_ = true;
    if (idle_stands_) steps_.push_back(Write{"DONE\r\n"});
}

void Imap::ended(bool fine, std::string_view text) {
    auto const doing = commands_.front().doing;
    commands_.pop_front();
    is_under_way_ = false;
    switch (doing) {
        case Doing::capability:
            if (!fine || !may_log_in_)
                return end("auth", "the server takes no login by password", false);
            ask(Doing::login,
                can_begin_at_once_ ? "AUTHENTICATE PLAIN " + std::string(secret_mark)
                                   : "AUTHENTICATE PLAIN",
                can_begin_at_once_);
            break;
        case Doing::login:
            if (!fine) {
                bool const is_for_now = text.find("[UNAVAILABLE]") != text.npos;
                return end(is_for_now ? "peer" : "auth", "the login is refused: " + told(text),
                           is_for_now);
            }
            ask(Doing::select, "SELECT " + quoted(settings_.folder));
            break;
        case Doing::select:
            if (!fine) return end("invalid", "the folder cannot be opened: " + told(text), false);
            selected();
            break;
        case Doing::search:
            std::sort(found_.begin(), found_.end());
            found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
            if (found_.size() > found_most) {
                found_.resize(found_most);
                has_news_ = true;
            }
            break;
        case Doing::fetch: {
            Fetched one = std::move(*fetching_);
            fetching_.reset();
            at_.last = one.place.last;
            // A mail that is gone meanwhile has nothing to say.
            if (!fine || one.bytes.empty()) break;
            is_wanted_ = false;
            steps_.emplace_back(std::move(one));
            break;
        }
        case Doing::idle:
            if (!fine) can_idle_ = false;
            break;
        default:
            break;
    }
    next();
}

void Imap::selected() {
    is_open_ = true;
    at_ = {validity_, next_uid_ > 0 ? next_uid_ - 1 : 0};
    if (from_ && from_->validity == validity_) {
        at_.last = from_->last;
        has_news_ = true;
    } else if (from_) {
        steps_.push_back(
            Note{"the server has numbered the folder anew; mail that came while it was "
                 "not read is left alone"});
    }
    steps_.push_back(Ready{});
}

Steps Imap::seen(Place const& place) {
    if (is_open_ && !is_over() && place.validity == at_.validity) {
        ask(Doing::store, "UID STORE " + std::to_string(place.last) + " +FLAGS.SILENT (\\Seen)");
        // An idle connection stands at the front; everything else ends by itself.
        look();
    }
    return std::exchange(steps_, {});
}

Steps Imap::go_on() {
    is_wanted_ = true;
    next();
    return std::exchange(steps_, {});
}

Steps Imap::minute() {
    if (is_over()) return {};
    if (!std::exchange(heard_since_minute_, false) && is_under_way_ &&
        commands_.front().doing != Doing::idle)
        end("peer", "the server does not answer");
    bool const idles =
        is_under_way_ && !commands_.empty() && commands_.front().doing == Doing::idle;
    minutes_idle_ = idles ? minutes_idle_ + 1 : 0;
    if (!is_over() && is_open_ && (!idles || minutes_idle_ >= idle_minutes)) {
        minutes_idle_ = 0;
        has_news_ = true;
        if (commands_.empty() && !is_wanted_) ask(Doing::noop, "NOOP");
        look();
    }
    return std::exchange(steps_, {});
}

Steps Imap::leave() {
    if (is_over()) return {};
    if (idle_stands_) steps_.push_back(Write{"DONE\r\n"});
    steps_.push_back(Write{"bye LOGOUT\r\n"});
    has_ended_ = true;
    return std::exchange(steps_, {});
}

}  // namespace email
