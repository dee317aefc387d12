#include "accounts.hpp"

namespace irc {

void Accounts::learn(std::string_view folded_nick, Line const& from, std::string_view account) {
    forget(folded_nick);
    if (account.empty() || account == "*" || known_.size() >= most) return;
    known_.emplace(folded_nick, Known{from.user, from.host, std::string(account)});
}

void Accounts::forget(std::string_view folded_nick) {
    auto const found = known_.find(folded_nick);
    if (found != known_.end()) known_.erase(found);
}

std::string_view Accounts::of(std::string_view folded_nick, Line const& from) const {
    auto const found = known_.find(folded_nick);
    if (found == known_.end()) return {};
    bool const same = found->second.user == from.user && found->second.host == from.host;
    return same ? std::string_view(found->second.account) : std::string_view();
}

}  // namespace irc
