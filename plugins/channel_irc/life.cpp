// What happens once the server has let us in: channels come and go, people speak.
#include "session.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <utility>

namespace irc {

namespace {

// What a server may append to our nick in the worst case: '!', '~' and user, '@', host.
constexpr std::size_t user_bytes_least = 11, host_bytes_most = 64;
constexpr std::size_t join_line_bytes = 400;
constexpr std::size_t id_bytes_most = 512;  // the host's own limit

}  // namespace

std::size_t Session::mask_bytes() const {
    std::size_t const user = std::max(user_bytes_least, settings_.username.size() + 1);
    // A cloak or a login may change the host later; so what was seen is only a lower bound.
    return std::max(mask_bytes_, nick_.size() + 1 + user + 1 + host_bytes_most);
}

bool Session::is_channel(std::string_view target) const {
    // "@#room" is for the operators of #room.
    while (!target.empty() && status_marks_.find(target.front()) != std::string::npos &&
           channel_types_.find(target.front()) == std::string::npos) {
        target.remove_prefix(1);
    }
    return !target.empty() && channel_types_.find(target.front()) != std::string::npos;
}

void Session::on_ping(Line const& line) { write("PONG :" + std::string(line.last())); }

void Session::join_missing() {
    std::string list;
    for (auto const& channel : settings_.channels) {
        if (joined_.contains(fold(channel))) continue;
        bool const is_full = list.size() + channel.size() > join_line_bytes;
        if (is_full) write("JOIN " + std::exchange(list, {}));
        list += (list.empty() ? "" : ",") + channel;
    }
    if (!list.empty()) write("JOIN " + list);
}

void Session::on_join(Line const& line) {
    std::string const channel = fold(line.param(0));
    if (is_me(line.nick)) {
        bool const asked = std::any_of(
            settings_.channels.begin(), settings_.channels.end(),
            [&](std::string const& one) { return fold(one) == channel; });
        if (asked) joined_.insert(channel);
        refused_.erase(channel);
        mask_bytes_ = line.nick.size() + 1 + line.user.size() + 1 + line.host.size();
        return;
    }
    bool const lasting = has("extended-join") && has("account-notify");
    if (lasting && line.params.size() >= 3) accounts_.learn(fold(line.nick), line, line.param(1));
}

void Session::on_join_refused(Line const& line) {
    std::string const channel = fold(line.param(1));
    bool const asked = std::any_of(settings_.channels.begin(), settings_.channels.end(),
                                   [&](std::string const& one) { return fold(one) == channel; });
    std::string const reason = without_formatting(decoded(line.last().substr(0, 200)));
    // It is tried again each minute; once told is enough.
    if (!asked || std::exchange(refused_[channel], reason) == reason) return;
    steps_.push_back(Note{"cannot join " + decoded(channel) + ": " + reason});
}

void Session::left(std::string_view channel) {
    joined_.erase(fold(channel));
    // Who was seen there only can now change without our hearing of it.
    accounts_.forget_all();
}

void Session::on_part(Line const& line) {
    if (is_me(line.nick)) return left(line.param(0));
    accounts_.forget(fold(line.nick));
}

void Session::on_kick(Line const& line) {
    if (!is_me(line.param(1))) return accounts_.forget(fold(line.param(1)));
    left(line.param(0));
    steps_.push_back(Note{"kicked from " + decoded(line.param(0).substr(0, 200))});
}

void Session::on_quit(Line const& line) { accounts_.forget(fold(line.nick)); }

void Session::on_nick(Line const& line) {
    if (is_me(line.nick)) {
        if (is_target(line.param(0))) nick_ = line.param(0);
        return;
    }
    accounts_.forget(fold(line.nick));
    accounts_.forget(fold(line.param(0)));
}

void Session::on_account(Line const& line) {
    accounts_.forget(fold(line.nick));
    if (has("account-notify")) accounts_.learn(fold(line.nick), line, line.param(0));
}

std::vector<std::string> Session::ids_of(Line const& line) const {
    std::vector<std::string> ids;
    // With the tag the server says it of each message; what it does not say is not so.
    std::string_view const account =
        has("account-tag") ? line.tag("account") : accounts_.of(fold(line.nick), line);
    if (!account.empty() && account != "*") ids.push_back("account:" + std::string(account));
    ids.push_back("mask:" + line.nick + "!" + line.user + "@" + line.host);
    ids.push_back("nick:" + line.nick);
    // An id is the server's exact bytes or nothing: two people must never be made one by decoding.
    std::erase_if(ids, [](std::string const& id) {
        return id.size() > id_bytes_most || !parley::is_utf8(id);
    });
    return ids;
}

bool Session::take_address(std::string& text) const {
    std::string_view rest = text;
    if (rest.size() <= nick_.size() || fold(rest.substr(0, nick_.size())) != fold(nick_)) {
        return false;
    }
    rest.remove_prefix(nick_.size());
    if (rest.front() != ':' && rest.front() != ',') return false;
    rest.remove_prefix(1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    text = std::string(rest);
    return true;
}

void Session::on_privmsg(Line const& line) {
    std::string_view const target = line.param(0);
    // A server has no user and host; a nick that is no text could not be answered.
    bool const from_person = !line.user.empty() && !line.host.empty() && is_target(line.nick) &&
                             parley::is_utf8(line.nick);
    if (!is_ready_ || !from_person || is_me(line.nick) || line.params.size() < 2) return;
    if (line.last().starts_with('\x01')) return;
    Message message;
    message.is_private = !is_channel(target);
    // A mask, or somebody else: not said to us in a place that could be answered.
    if (message.is_private && !is_me(target)) return;
    message.conversation = message.is_private ? line.nick : fold(target);
    if (!parley::is_utf8(message.conversation)) return;
    message.text = without_formatting(decoded(line.last()));
    bool const addressed = !message.is_private && take_address(message.text);
    if (!message.is_private && !addressed && !settings_.always) return;
    if (message.text.find_first_not_of(" \t") == std::string::npos) return;
    message.ids = ids_of(line);
    message.name = line.nick;
    message.id = decoded(line.tag("msgid").substr(0, id_bytes_most / 4));
    if (!message.ids.empty()) steps_.push_back(std::move(message));
}

}  // namespace irc
