// A provider for Anthropic's Messages API. It never tries again, stores nothing, and never holds
// the key.
#include "abilities.hpp"
#include "messages.hpp"

#include <algorithm>
#include <functional>
#include <map>

namespace anthropic {
namespace {

using model_wire::Exchange;
using parley::Call;
using parley::Host;
using parley::HttpRequest;
using parley::Json;
using parley::json_of;

constexpr std::size_t count_bytes_most = 64 * 1024;
constexpr std::size_t models_known_most = 256;
constexpr std::chrono::seconds looking_most{10};  // somebody waits for an answer behind it

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

// Asks what a model can do, and gives the call back with the answer: nothing where the service does
// not say, which is no failure of the call.
class Looking final : public Exchange {
public:
    using Then = std::function<void(Call call, Json model)>;
    Looking(Host& host, model_wire::Settings& settings, Call call, std::string_view model,
            Then then)
        : Exchange(host, settings, std::move(call)), then_(std::move(then)) {
        static constexpr char digits[] = "0123456789ABCDEF";
        for (unsigned char const c : model) {
            bool const plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                               (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
            if (plain)
                name_ += static_cast<char>(c);
            else
                name_ += {'%', digits[c >> 4], digits[c & 15]};
        }
    }

private:
    HttpRequest request() const override {
        HttpRequest out;
        out.url = settings_.base_url + "/v1/models/" + name_;
        out.timeout = std::min(looking_most, settings_.timeout);
        out.headers = {{"Accept", "application/json"}};
        out.max_bytes = count_bytes_most;
        return out;
    }
    void on_data(std::string_view bytes) override {
        if (whole_.size() + bytes.size() <= count_bytes_most) whole_ += bytes;
    }
    void on_whole() override { go_on(Json::parse(whole_)); }
    void on_broken(parley::Failure const&) override { go_on({}); }
    void fail(parley::Failure const&) override { go_on({}); }

    void go_on(Json model) {
        operation_.stop();
        if (call_.is_open() && !call_.is_cancelled()) then_(std::move(call_), std::move(model));
    }

    Then then_;
    std::string name_, whole_;
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
        // A model is asked what it can do only where something hangs on it, and once.
        std::string const model(request["model"].text());
        bool const asks_much = manners_.thinking != "off" || !manners_.effort.empty();
        auto const known = known_.find(model);
        if (!asks_much || known != known_.end()) {
            return ask(std::move(call), request,
                       asks_much ? fitted(manners_, known->second) : manners_);
        }
        auto then = [this, request, model](Call asked, Json const& said) {
            learn(model, said);
            auto const now = known_.find(model);
            ask(std::move(asked), request,
                now == known_.end() ? manners_ : fitted(manners_, now->second));
        };
        std::make_shared<Looking>(host_, settings_, std::move(call), model, std::move(then))
            ->begin();
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
    void ask(Call call, Json const& request, Manners const& manners) {
        Names names(request);
        Body body = body_for(request, names, manners);
        std::string text = body.text();
        model_wire::generate(host_, settings_, std::move(call), "/v1/messages", std::move(text),
                             std::make_unique<Answer>(std::move(names), std::move(body)));
    }

    void learn(std::string const& model, Json const& said) {
        if (known_.size() >= models_known_most || known_.contains(model)) return;
        auto abilities = abilities_from(said);
        if (!abilities.leaving.empty()) {
            host_.log(PARLEY_LOG_WARN, "the model " + model + " " + abilities.leaving);
        }
        known_.emplace(model, std::move(abilities));
    }

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
    std::map<std::string, Abilities, std::less<>> known_;
};

}  // namespace
}  // namespace anthropic

PARLEY_PLUGIN(anthropic::Anthropic)
