// A provider in C++20: a model that says the words of the last message in the other order.
#include <parley/plugin.hpp>

#include <sstream>
#include <string>

namespace {

using parley::Json;
using parley::json_of;

class Backwards final : public parley::Provider {
public:
    Backwards(parley::Host&, Json const& /*config*/) {}

    void generate(parley::Call call, Json request) override {
        std::string_view said;
        for (Json const message : request["messages"]) {
            if (message["role"].text() == "user") said = message["text"].text();
        }
        std::istringstream words{std::string(said)};
        std::string answer;
        for (std::string word; words >> word;) answer = word + (answer.empty() ? "" : " ") + answer;

        // A model that streams emits many of these; the host puts them together.
        call.emit(json_of("type", "text", "text", answer));
        call.emit(json_of("type", "usage", "input", request.raw().size() / 4, "output",
                          answer.size() / 4));
        call.emit(json_of("type", "stop", "reason", "end"));
        call.complete_ok();
    }
};

}  // namespace

PARLEY_PLUGIN(Backwards)
