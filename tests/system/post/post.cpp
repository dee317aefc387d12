// A channel over a line protocol, whose service keeps every message until it is acknowledged:
// `HELLO cursor` begins, `MSG number text` comes, `ACK number` and `OUT text` go.
#include <parley/plugin.hpp>

#include <memory>
#include <string>

class Post final : public parley::Channel {
public:
    Post(parley::Host& host, parley::Json const& config)
        : host_(host), port_(static_cast<std::uint16_t>(config["port"].integer())) {}

    void run(parley::Call call, parley::Json request) override {
        run_ = std::move(call);
        rest_.clear();
        run_.on_ack([this](std::string_view cursor) {
            stream_.write("ACK " + std::string(cursor) + "\n");
        });
        parley::StreamCallbacks callbacks;
        callbacks.on_open = [this, cursor = std::string(request["cursor"].text("0"))](auto) {
            stream_.write("HELLO " + cursor + "\n");
            run_.emit(parley::json_of("type", "state", "state", "connected"));
        };
        callbacks.on_data = [this](std::string_view bytes) { heard(bytes); };
        callbacks.on_closed = [this](auto const&) { run_.fail("peer", "the post is closed", true); };
        stream_ = host_.stream(run_, "127.0.0.1", port_, false, std::move(callbacks));
        run_.on_cancel([this] {
            stream_.stop();
            run_.fail("cancelled", "as asked");
        });
    }

    // Answers a moment later, so that there is always one under way.
    void send(parley::Call call, parley::Json request) override {
        auto held = std::make_shared<parley::Call>(std::move(call));
        host_.timer(*held, std::chrono::milliseconds(20), [this, held, request] {
            if (!stream_.is_open())
                return held->fail({"peer", "the post is closed", true, 0, false});
            stream_.write("OUT " + std::string(request["text"].text()) + "\n");
            held->complete_ok();
        });
    }

private:
    void heard(std::string_view bytes) {
        rest_ += bytes;
        for (auto end = rest_.find('\n'); end != rest_.npos; end = rest_.find('\n')) {
            auto line = rest_.substr(0, end);
            rest_.erase(0, end + 1);
            auto number = line.substr(4, line.find(' ', 4) - 4);
            parley::JsonWriter sender;
            sender.begin('{').key("ids").begin('[').value("id:1").end(']').end('}');
            parley::JsonWriter message;
            message.begin('{').pair("type", "message").pair("conversation", "c" + number);
            message.key("sender").raw(sender.text()).pair("id", number).pair("cursor", number);
            message.pair("private", true).pair("text", line.substr(line.find(' ', 4) + 1));
            run_.emit(message.end('}').take());
        }
    }

    parley::Host& host_;
    std::uint16_t port_;
    parley::Call run_;
    parley::Stream stream_;
    std::string rest_;
};

PARLEY_PLUGIN(Post)
