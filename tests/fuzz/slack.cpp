// A message of Socket Mode as Slack gives it to the channel: somebody's words, in Slack's notation.
#include "target.hpp"

#include "envelope.hpp"

void try_bytes(std::string_view bytes) {
    auto const message = parley::Json::parse(bytes);
    slack::Me const me{"U777", "parley"};
    for (auto const channels :
         {slack::Channels::mention, slack::Channels::all, slack::Channels::never}) {
        auto const heard = slack::heard_in(message, me, channels);
        if (heard.item.empty()) continue;
        must(!heard.envelope.empty(), "it can be acknowledged");
        auto const item = parley::Json::parse(heard.item);
        must(item.is_object(), "an item is JSON");
        must(item["cursor"].text() == heard.envelope, "by its envelope");
        must(item["sender"]["ids"].size() == 1, "somebody said it");
        must(slack::place_from(item["conversation"].text()).has_value(),
             "an answer finds its way back");
    }
}
