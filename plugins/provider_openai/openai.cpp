// A provider for every server that speaks OpenAI's Chat Completions or its Responses API. It never
// retries, stores nothing, and never holds the key.
#include "chat.hpp"
#include "responses.hpp"

#include "../model_wire/exchange.hpp"

namespace openai {
namespace {

using parley::Call;
using parley::Host;
using parley::Json;

class OpenAi final : public parley::Provider {
public:
    OpenAi(Host& host, Json const& config)
        : host_(host),
          settings_(model_wire::settings_from(config, "https://api.openai.com/v1")),
          max_tokens_field_(config["max_tokens_field"].text("max_completion_tokens")),
          speaks_responses_(config["api"].text() == "responses"),
          carries_reasoning_(config["carry_reasoning"].boolean(true)) {}

    void generate(Call call, Json request) override {
        if (request["model"].text().empty()) return call.fail("invalid", "no model is named");
        if (request["messages"].size() == 0) return call.fail("invalid", "there is no message");
        Names names(request);
        if (speaks_responses_) {
            std::string asked = responses_body_for(request, names, carries_reasoning_);
            return model_wire::generate(host_, settings_, std::move(call), "/responses",
                                        std::move(asked),
                                        std::make_unique<ResponsesAnswer>(std::move(names)));
        }
        std::string body = body_for(request, names, max_tokens_field_);
        model_wire::generate(host_, settings_, std::move(call), "/chat/completions",
                             std::move(body), std::make_unique<Answer>(std::move(names)));
    }

    void list_models(Call call, Json) override {
        model_wire::list_models(host_, settings_, std::move(call), "/models");
    }

private:
    Host& host_;
    model_wire::Settings settings_;
    std::string max_tokens_field_;
    bool speaks_responses_, carries_reasoning_;
};

}  // namespace
}  // namespace openai

PARLEY_PLUGIN(openai::OpenAi)
