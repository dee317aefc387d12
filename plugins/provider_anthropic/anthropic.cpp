// A provider for Anthropic's Messages API. It never tries again, stores nothing, and never holds
// the key.
#include "messages.hpp"

namespace anthropic {
namespace {

using model_wire::Exchange;
using parley::Call;
using parley::Host;
using parley::HttpRequest;
using parley::Json;
using parley::json_of;

constexpr std::size_t count_bytes_most = 64 * 1024;

// Asks how many tokens a request has.
class Counting final : public Exchange {
public:
    Counting(Host& host, model_wire::Settings& settings, Call call, std::string body)
        : Exchange(host, settings, std::move(call)), body_(std::move(body)) {}

private:
    HttpRequest request() const override {
        HttpRequest out;
        out.method = "POST";
        out.url = settings_.base_url + "/v1/messages/count_tokens";
        out.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
        out.max_bytes = count_bytes_most;
        return out;
    }
    std::string_view body() const override { return body_; }
    void on_data(std::string_view bytes) override {
        if (whole_.size() + bytes.size() <= count_bytes_most) whole_ += bytes;
    }
    void on_whole() override {
        auto const count = model_wire::count_at(Json::parse(whole_), {"input_tokens"});
        if (count < 0) return call_.fail("peer", "the count is not what the wire says");
        call_.complete_ok(json_of("input", count));
    }

    std::string body_, whole_;
};

class Anthropic final : public parley::Provider {
public:
    Anthropic(Host& host, Json const& config)
        : host_(host), settings_(model_wire::settings_from(config, "https://api.anthropic.com")) {
        manners_.thinking = config["thinking"].text("off");
        manners_.effort = config["effort"].text();
        manners_.caches = config["cache"].boolean(true);
        settings_.headers = {
            {"anthropic-version", std::string(config["version"].text("2026-10-21"))}};
        if (config["auth"].text() == "x-api-key") {
            settings_.key = {.slot = "header:x-api-key", .secret = "api_key"};
        }
    }

    void generate(Call call, Json request) override {
        if (!makes_sense(call, request)) return;
        Names names(request);
        Body body = body_for(request, names, manners_);
        std::string text = body.text();
        model_wire::generate(host_, settings_, std::move(call), "/v1/messages", std::move(text),
                             std::make_unique<Answer>(std::move(names), std::move(body)));
    }

    void count_tokens(Call call, Json request) override {
        if (!makes_sense(call, request)) return;
        std::string body = count_body_for(request, Names(request), manners_);
        if (body.size() > model_wire::request_bytes_most) return call.fail(model_wire::too_large());
        std::make_shared<Counting>(host_, settings_, std::move(call), std::move(body))->begin();
    }

    void list_models(Call call, Json) override {
        model_wire::list_models(host_, settings_, std::move(call), "/v1/models?limit=1000");
    }

private:
    static bool makes_sense(Call& call, Json const& request) {
        char const* const problem = request["model"].text().empty()   ? "no model is named"
                                    : request["messages"].size() == 0 ? "there is no message"
                                                                      : nullptr;
        if (problem) call.fail("invalid", problem);
        return !problem;
    }

    Host& host_;
    model_wire::Settings settings_;
    Manners manners_;
};

}  // namespace
}  // namespace anthropic

PARLEY_PLUGIN(anthropic::Anthropic)
