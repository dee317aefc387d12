// What a model writes, as the Telegram channel sends it.
#include "target.hpp"

#include "markdown.hpp"
#include "parley/text.hpp"

void try_bytes(std::string_view bytes) {
    auto const text = parley::visible_utf8(bytes);
    auto const styled = telegram::styled_from(text);
    std::size_t total = 0;
    for (auto const& part : telegram::split(styled, 64)) {
        auto const plain = telegram::text_of(part);
        must(parley::is_utf8(plain), "no character is split");
        must(telegram::utf16_units(plain) <= 64, "a part fits");
        auto const html = telegram::html_of(part);
        must(parley::is_utf8(html), "what is sent is text");
        total += plain.size();
    }
    must(total <= telegram::text_of(styled).size(), "nothing is said twice");
}
