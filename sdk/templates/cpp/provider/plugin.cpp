// A provider in C++20: a model that says the words of the last message in the other order.
#include <parley/plugin.hpp>

#include <deque>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using parley::Call;
using parley::Emit;
using parley::Json;
using parley::json_of;

class Backwards final : public parley::Provider {
public:
    Backwards(parley::Host&, Json const& /*config*/) {}

    void generate(Call call, Json request) override {
        std::string_view said;
        for (Json const message : request["messages"]) {
            if (message["role"].text() == "user") said = message["text"].text();
        }
        std::istringstream words{std::string(said)};
        std::vector<std::string> backwards;
        for (std::string word; words >> word;) backwards.push_back(word);
        std::string text;
        for (; !backwards.empty(); backwards.pop_back()) {
            text += (text.empty() ? "" : " ") + backwards.back();
        }

        // A model that streams tells many texts; the host puts them together.
        auto const answer = std::make_shared<Answer>();
        answer->items = {json_of("type", "text", "text", text),
                         json_of("type", "usage", "input", request.raw().size() / 4, "output",
                                 text.size() / 4),
                         json_of("type", "stop", "reason", "end")};
        answer->call = std::move(call);
        answer->call.on_resume([answer] { tell_on(*answer); });
        answer->call.on_cancel([answer] { answer->call.fail("cancelled", "stopped"); });
        tell_on(*answer);
    }

private:
    struct Answer {
        Call call;
        std::deque<std::string> items;  // not yet told
    };

    // What the host does not take now waits until it goes on.
    static void tell_on(Answer& answer) {
        while (!answer.items.empty()) {
            auto const item = std::move(answer.items.front());
            answer.items.pop_front();
            if (answer.call.emit(item) == Emit::pause && !answer.items.empty()) return;
        }
        answer.call.complete_ok();
    }
};

}  // namespace

PARLEY_PLUGIN(Backwards)
