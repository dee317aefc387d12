// An update as Telegram gives it to the channel: somebody's words, and numbers that point into
// them.
#include "target.hpp"

#include "update.hpp"

void try_bytes(std::string_view bytes) {
    auto const update = parley::Json::parse(bytes);
    telegram::Me const me{777, "ParleyBot"};
    for (auto const groups :
         {telegram::Groups::mention, telegram::Groups::all, telegram::Groups::never}) {
        auto const heard = telegram::heard_in(update, me, groups);
        must(heard.next > 0, "every update can be confirmed");
        if (heard.item.empty()) continue;
        auto const item = parley::Json::parse(heard.item);
        must(item.is_object(), "an item is JSON");
        must(item["sender"]["ids"].size() == 1, "somebody said it");
        must(telegram::place_from(item["conversation"].text()).has_value(),
             "an answer finds its way back");
        must(item["cursor"].exists(), "it can be acknowledged");
    }
}
