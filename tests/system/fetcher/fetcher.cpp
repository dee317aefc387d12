// Fetches the address that it is given, with its secret in the slot that it is given, and says what
// came of it.
#include <parley/plugin.hpp>

#include <memory>
#include <string>

class Fetcher final : public parley::Skill {
public:
    Fetcher(parley::Host& host, parley::Json const&) : host_(host) {}

    void invoke(parley::Call call, parley::Json request) override {
        auto const arguments = request["arguments"];
        parley::HttpRequest fetch;
        fetch.url = arguments["url"].text();
        std::string const slot(arguments["slot"].text()), body(arguments["body"].text());
        if (!slot.empty()) fetch.inject.push_back({.slot = slot, .secret = "token"});
        if (!body.empty()) fetch.method = "POST";
        auto held = std::make_shared<parley::Call>(std::move(call));
        auto text = std::make_shared<std::string>();
        auto say = [held](std::string const& what) {
            held->complete_ok(parley::json_of("content", what, "error", false));
        };
        parley::HttpCallbacks callbacks;
        callbacks.on_head = [text](parley::HttpHead const& head) {
            *text = "status " + std::to_string(head.status) + ": ";
        };
        callbacks.on_data = [text](std::string_view bytes) { *text += bytes; };
        callbacks.on_done = [text, say] { say(*text); };
        callbacks.on_failed = [say](parley::Failure const& why) { say("failed: " + why.message); };
        host_.http(*held, fetch, body, std::move(callbacks));
    }

private:
    parley::Host& host_;
};

PARLEY_PLUGIN(Fetcher)
