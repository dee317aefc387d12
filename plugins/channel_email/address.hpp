#pragma once

// Who a mail says that it is from, and whether the operator's own server vouches for that.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace email {

struct Mailbox {
    std::string address;  // lower case: nobody's neighbour differs by case alone
    std::string name;     // as written, not decoded
};

// The mailboxes of a header such as From. Nothing when it cannot be read whole: an address is the
// writer's exact one or none.
std::optional<std::vector<Mailbox>> mailboxes_in(std::string_view header);

// Only what can stand in a line of IMAP, SMTP or a header without meaning anything else.
bool is_address(std::string_view text);

// One Authentication-Results header (RFC 8601): does the server `authserv` say that DMARC (RFC
// 7489) passed for this domain? Nothing when another server wrote it.
std::optional<bool> vouches(std::string_view header, std::string_view authserv,
                            std::string_view domain);

std::string lower(std::string_view text);
std::string_view trimmed(std::string_view text);

}  // namespace email
