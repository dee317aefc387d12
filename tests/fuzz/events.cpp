// Server-sent events of a provider.
#include "target.hpp"

#include "wire/client.hpp"

#include <algorithm>

#include <vector>

void try_bytes(std::string_view bytes) {
    auto all = [](std::string_view text, std::size_t piece) {
        parley::EventParser parser;
        std::vector<std::string> seen;
        while (!text.empty()) {
            auto fed = parser.feed(text.substr(0, piece), [&](parley::EventParser::Event event) {
                seen.push_back(event.event + '\0' + event.data + '\0' + event.id);
            });
            if (!fed) break;
            text.remove_prefix(std::min(piece, text.size()));
        }
        return seen;
    };
    must(all(bytes, bytes.size() + 1) == all(bytes, 3), "pieces make no difference");
}
