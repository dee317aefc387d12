// A channel whose service is the test: one JSON document a line. What the service sends is emitted
// as it stands; each call goes to it with a number, and ends as its answer to that number says.
#include <parley/plugin.hpp>

#include <map>
#include <string>

class Desk final : public parley::Channel {
public:
    Desk(parley::Host& host, parley::Json const& config)
        : host_(host), port_(static_cast<std::uint16_t>(config["port"].integer())) {}

    void run(parley::Call call, parley::Json) override {
        run_ = std::move(call);
        rest_.clear();
        parley::StreamCallbacks callbacks;
        callbacks.on_open = [this](auto) {
            run_.emit(parley::json_of("type", "state", "state", "connected"));
        };
        callbacks.on_data = [this](std::string_view bytes) { heard(bytes); };
        callbacks.on_closed = [this](auto const&) {
            // What the service was told and did not answer: nobody knows.
            for (auto& [number, open] : calls_) open.fail({"peer", "the desk is closed", true});
            calls_.clear();
            run_.fail("peer", "the desk is closed", true);
        };
        stream_ = host_.stream(run_, "127.0.0.1", port_, false, std::move(callbacks));
        run_.on_cancel([this] {
            stream_.stop();
            run_.fail("cancelled", "as asked");
        });
    }

    void send(parley::Call call, parley::Json request) override {
        ask("send", std::move(call), request);
    }
    void edit(parley::Call call, parley::Json request) override {
        ask("edit", std::move(call), request);
    }
    void typing(parley::Call call, parley::Json request) override {
        ask("typing", std::move(call), request);
    }
    void draft(parley::Call call, parley::Json request) override {
        ask("draft", std::move(call), request);
    }

private:
    void ask(char const* verb, parley::Call call, parley::Json const& request) {
        if (!stream_.is_open()) return call.fail({"peer", "the desk is closed", true, 0, false});
        auto number = std::to_string(++last_);
        stream_.write(R"({"call":)" + number + R"(,"verb":")" + verb + R"(","request":)" +
                      std::string(request.raw()) + "}\n");
        calls_.emplace(last_, std::move(call));
    }

    void heard(std::string_view bytes) {
        rest_ += bytes;
        for (auto end = rest_.find('\n'); end != rest_.npos; end = rest_.find('\n')) {
            auto line = parley::Json::parse(std::string_view(rest_).substr(0, end));
            rest_.erase(0, end + 1);
            if (line["type"]) {
                run_.emit(line.raw());
                continue;
            }
            auto open = calls_.find(line["answer"].integer());
            if (open == calls_.end()) continue;
            auto call = std::move(open->second);
            calls_.erase(open);
            auto const failure = line["failure"];
            if (!failure) {
                call.complete_ok(line["result"].raw());
                continue;
            }
            call.fail({"peer", "as the test wants", failure["retryable"].boolean(),
                       failure["retry_after_ms"].integer(), failure["sent"].boolean(true)});
        }
    }

    parley::Host& host_;
    std::uint16_t port_;
    parley::Call run_;
    parley::Stream stream_;
    std::map<std::int64_t, parley::Call> calls_;
    std::int64_t last_ = 0;
    std::string rest_;
};

PARLEY_PLUGIN(Desk)
