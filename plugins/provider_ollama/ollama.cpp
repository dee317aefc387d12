// A provider for Ollama's own API. It never retries, stores nothing, and never holds the key.
#include "chat.hpp"

namespace ollama {
namespace {

using parley::Call;
using parley::Host;
using parley::Json;

class Ollama final : public parley::Provider {
public:
    Ollama(Host& host, Json const& config)
        : host_(host), settings_(model_wire::settings_from(config, "http://127.0.0.1:11434")) {
        manners_.num_ctx = config["num_ctx"].integer(manners_.num_ctx);
        manners_.think = config["think"].text(manners_.think);
        manners_.keep_alive = config["keep_alive"].text();
    }

    void generate(Call call, Json request) override {
        if (request["model"].text().empty()) return call.fail("invalid", "no model is named");
        if (request["messages"].size() == 0) return call.fail("invalid", "there is no message");
        Names names(request);
        std::string body = body_for(request, names, manners_);
        model_wire::generate(host_, settings_, std::move(call), "/api/chat", std::move(body),
                             std::make_unique<Answer>(std::move(names)));
    }

    // Under the name that it shares with others, and in their form.
    void list_models(Call call, Json) override {
        model_wire::list_models(host_, settings_, std::move(call), "/v1/models");
    }

private:
    Host& host_;
    model_wire::Settings settings_;
    Manners manners_;
};

}  // namespace
}  // namespace ollama

PARLEY_PLUGIN(ollama::Ollama)
