#pragma once

// What plugins asked of HTTP and what they were told, one exchange a line: recorded while a host
// works, or played back, so that a provider or channel can be tried with no network. It stands
// where plugins see it, before a secret is placed, and so holds none.
#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {

class Tape {
public:
    struct Exchange {
        std::string method, url, body;
        std::vector<std::pair<std::uint32_t, std::string>> events;  // PARLEY_HTTP_…, as told
    };

    // Makes the file; one that is there is not touched (Fault::conflict).
    static Result<std::shared_ptr<Tape>> record(std::filesystem::path const& path);
    // Fault::bad_input with the line when it makes no sense.
    static Result<std::shared_ptr<Tape>> replay(std::filesystem::path const& path);

    bool is_playing() const { return !out_.is_open(); }
    // A line at the end of the file.
    void add(Exchange const& exchange);
    // The first of that method and address that has not been played, one with the same body before
    // others. Fault::not_found when there is none. Valid as long as the tape.
    Result<Exchange const*> next(std::string_view method, std::string_view url,
                                 std::string_view body);

private:
    std::ofstream out_;
    std::vector<Exchange> exchanges_;
    std::vector<bool> played_;
};

}  // namespace parley
