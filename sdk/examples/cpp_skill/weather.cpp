// A whole plugin in C++20: one skill, which asks a web service with a key that it never sees.
#include <parley/plugin.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace {

using parley::Call;
using parley::Failure;
using parley::Json;
using parley::json_of;

// What is known of one question until its answer is whole.
struct Question {
    Call call;
    int status = 0;
    std::string body = {};
};

std::string percent_encoded(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (char const c : text) {
        auto const byte = static_cast<std::uint8_t>(c);
        bool const plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (plain) out += c;
        else out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

class Weather final : public parley::Skill {
public:
    Weather(parley::Host& host, Json const& config)
        : host_(host), units_(config["units"].text("metric")) {}

    void invoke(Call call, Json request) override {
        auto const place = percent_encoded(request["arguments"]["place"].text());
        auto question = std::make_shared<Question>(Question{std::move(call)});
        host_.http(
            question->call,
            {.url = "https://api.weather.example/v1/now?place=" + place + "&units=" + units_,
             .max_bytes = 64 * 1024,
             .inject = {{.slot = "header:Authorization",
                         .secret = "api_key",
                         .prefix = "Bearer "}}},
            "",
            {.on_head =
                 [question](parley::HttpHead const& head) { question->status = head.status; },
             .on_data = [question](std::string_view bytes) { question->body += bytes; },
             .on_done = [question] { answer(*question); },
             .on_failed = [question](Failure const& why) { question->call.fail(why); }});
    }

private:
    static void answer(Question& question) {
        if (question.status != 200) {
            return question.call.fail("peer",
                                      "the weather service said " + std::to_string(question.status),
                                      question.status >= 500);
        }
        std::string why;
        Json const report = Json::parse(question.body, &why);
        if (!report) return question.call.fail("peer", "the weather service sent no JSON: " + why);
        auto const text = std::string(report["summary"].text("no report")) + ", " +
                          std::string(report["temperature"].raw()) + " degrees";
        question.call.complete_ok(json_of("content", text, "error", false));
    }

    parley::Host& host_;
    std::string units_;
};

}  // namespace

PARLEY_PLUGIN(Weather)
