// Opens the WebSocket of its config, proves who it is in the opening and in its first message, and
// says what it heard until the other side left.
#include <parley/plugin.hpp>

#include <memory>
#include <string>

class Talker final : public parley::Skill {
public:
    Talker(parley::Host& host, parley::Json const& config)
        : host_(host), socket_(config["socket"].text()) {}

    void invoke(parley::Call call, parley::Json request) override {
        auto const arguments = request["arguments"];
        parley::WebSocketRequest opening;
        opening.url = arguments["url"].text(socket_);
        opening.subprotocols = {"talk.2", "talk.1"};
        opening.inject.push_back(
            {.slot = "header:Authorization", .secret = "token", .prefix = "Bearer "});
        auto held = std::make_shared<parley::Call>(std::move(call));
        auto heard = std::make_shared<std::string>();
        auto socket = std::make_shared<parley::WebSocket>();
        auto say = [held, heard](std::string const& what) {
            held->complete_ok(parley::json_of("content", *heard + what, "error", false));
        };
        parley::WebSocketCallbacks callbacks;
        callbacks.on_open = [heard](std::string_view subprotocol) {
            *heard = "open " + std::string(subprotocol) + "; ";
        };
        callbacks.on_text = [heard, socket](std::string_view text) {
            *heard += "text " + std::string(text.substr(0, 100)) + "; ";
            if (text == "echo") socket->write_binary(std::string(200'000, '\xff'));
        };
        callbacks.on_binary = [heard](std::string_view bytes) {
            *heard += std::to_string(bytes.size()) + " bytes; ";
        };
        callbacks.on_closed = [say](int code, std::string_view reason) {
            say("closed " + std::to_string(code) + " " + std::string(reason));
        };
        callbacks.on_failed = [say](parley::Failure const& why) { say("failed: " + why.message); };
        *socket = host_.ws(*held, opening, std::move(callbacks));
        socket->write_text(parley::json_of("token", "", "text", arguments["text"].text()),
                           {{.slot = "body:/token", .secret = "token"}});
    }

private:
    parley::Host& host_;
    std::string const socket_;
};

PARLEY_PLUGIN(Talker)
