// What a model writes, as the channels with styles send it.
#include "target.hpp"

#include "channel_slack/outgoing.hpp"
#include "channel_telegram/html.hpp"
#include "parley/text.hpp"

void try_bytes(std::string_view bytes) {
    auto const text = parley::visible_utf8(bytes);
    auto const styled = chat_text::styled_from(text);
    std::size_t total = 0;
    for (auto const& part : chat_text::split(styled, 64)) {
        auto const plain = chat_text::text_of(part);
        must(parley::is_utf8(plain), "no character is split");
        must(chat_text::utf16_units(plain) <= 64, "a part fits");
        auto const html = telegram::html_of(part);
        must(parley::is_utf8(html), "what is sent is text");
        parley::JsonWriter content;
        slack::write_content(content.begin('{'), part, parley::Json());
        must(parley::Json::parse(content.end('}').text())["blocks"].size() == 1, "blocks are JSON");
        total += plain.size();
    }
    must(total <= chat_text::text_of(styled).size(), "nothing is said twice");
}
