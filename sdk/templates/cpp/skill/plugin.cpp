// A skill in C++20: it counts the words of a text.
#include <parley/plugin.hpp>

#include <sstream>
#include <string>

namespace {

class CountWords final : public parley::Skill {
public:
    CountWords(parley::Host&, parley::Json const& /*config*/) {}

    void invoke(parley::Call call, parley::Json request) override {
        std::istringstream text(std::string(request["arguments"]["text"].text()));
        int count = 0;
        for (std::string word; text >> word;) ++count;
        call.complete_ok(
            parley::json_of("content", std::to_string(count) + " words", "error", false));
    }
};

}  // namespace

PARLEY_PLUGIN(CountWords)
