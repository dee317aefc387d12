#pragma once

// What a link carried, as lines that can be compared: each call with its messages in the order in
// which the host heard and said them, ids as ordinals, grant paths as names. SETUP and READY are
// left out: they say how a worker is confined, in which alone the two sides may differ.
#include "plugin/spawner.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

class Transcript {
public:
    // What stands as `name` wherever the path stands.
    void name(std::filesystem::path const& path, std::string const& name);

    // The time that stands between these two texts is another each time.
    void time_between(std::string begin, std::string end);

    // Whatever `inner` spawns, heard. The transcript must outlive the spawner.
    std::shared_ptr<parley::Spawner> listen(std::shared_ptr<parley::Spawner> inner);

    std::string text() const;

private:
    class Listener;
    class ListeningLink;

    // `life`: the worker of which it is; ids begin again with each.
    void note(std::size_t life, char const* who, std::uint16_t type, std::uint64_t id,
              std::string_view body);
    std::size_t ordinal(std::size_t life, std::uint64_t call);

    using Id = std::pair<std::size_t, std::uint64_t>;  // of one life
    std::size_t lives_ = 0;
    std::map<Id, std::size_t> calls_;
    struct Operation {
        std::size_t call, ordinal;
    };
    std::map<Id, Operation> operations_;
    std::map<std::size_t, std::size_t> operations_of_;  // a call's number of them
    std::vector<std::string> texts_{""};                // the plugin's own, then each call's
    std::vector<std::pair<std::string, std::string>> names_, times_;
};

}  // namespace parity
