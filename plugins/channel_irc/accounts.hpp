#pragma once

// Which account stands behind a nick, as far as the server has said so and nothing has happened
// since that could have changed it. When in doubt it forgets.
#include "line.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace irc {

class Accounts {
public:
    // Of somebody with a mask; "*" means none.
    void learn(std::string_view folded_nick, Line const& from, std::string_view account);
    void forget(std::string_view folded_nick);
    void forget_all() { known_.clear(); }
    // Empty unless the account is known of exactly this nick, user and host.
    std::string_view of(std::string_view folded_nick, Line const& from) const;

private:
    static constexpr std::size_t most = 4096;  // then nobody new is learnt

    struct Known {
        std::string user, host, account;
    };
    std::map<std::string, Known, std::less<>> known_;
};

}  // namespace irc
