// A provider for Google's Gemini API. It never retries, stores nothing, and never holds the key.
#include "content.hpp"

namespace gemini {
namespace {

using parley::Call;
using parley::Host;
using parley::Json;

class Gemini final : public parley::Provider {
public:
    Gemini(Host& host, Json const& config)
        : host_(host),
          settings_(model_wire::settings_from(config,
                                              "https://generativelanguage.googleapis.com/v1beta")) {
        settings_.key = {.slot = "header:x-goog-api-key", .secret = "api_key"};
        manners_.shows_thoughts = config["thinking"].text() == "summary";
        manners_.effort = config["effort"].text();
    }

    void generate(Call call, Json request) override {
        auto const model = request["model"].text();
        if (model.empty()) return call.fail("invalid", "no model is named");
        if (request["messages"].size() == 0) return call.fail("invalid", "there is no message");
        Names names(request);
        std::string body = body_for(request, names, manners_);
        model_wire::generate(host_, settings_, std::move(call), path_for(model), std::move(body),
                             std::make_unique<Answer>(std::move(names)));
    }

private:
    Host& host_;
    model_wire::Settings settings_;
    Manners manners_;
};

}  // namespace
}  // namespace gemini

PARLEY_PLUGIN(gemini::Gemini)
