// HTTP from whoever reaches the port, in small pieces.
#include "target.hpp"

#include "wire/request_reader.hpp"

#include <algorithm>
#include <cstring>

void try_bytes(std::string_view bytes) {
    parley::RequestReader reader;
    using State = parley::RequestReader::State;
    auto state = reader.state();
    for (int requests = 0; requests < 64 && state != State::refused;) {
        if (state == State::ready) {
            static_cast<void>(reader.take());
            ++requests;
            state = reader.go_on();
            continue;
        }
        if (bytes.empty()) return;
        auto room = reader.room();
        must(room.size_bytes > 0, "there is always room for more");
        auto count = std::min({room.size_bytes, bytes.size(), std::size_t{37}});
        std::memcpy(room.data, bytes.data(), count);
        bytes.remove_prefix(count);
        state = reader.took(count);
    }
    if (state == State::refused) must(reader.refusal().status >= 400, "a refusal has a status");
}
