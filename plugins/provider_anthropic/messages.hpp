#pragma once

// The Messages wire without a network: a request of the host becomes a body, events become the
// host's items. Blocks that are bound to what stands before them go back as they came.
#include "../model_wire/exchange.hpp"
#include "../model_wire/names.hpp"
#include "parley/json.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anthropic {

using model_wire::Names;

struct Manners {
    std::string thinking = "off", effort;
    bool caches = true;
    std::int64_t max_tokens = 0;  // the most that the model takes; 0: not known
};

// The body for POST /v1/messages, in two parts: the list of messages stays open at its end, so that
// an answer that paused can be put there.
struct Body {
    std::string head, tail;
    std::string text() const { return head + tail; }
};
Body body_for(parley::Json const& request, Names const& names, Manners const& manners);
// The same for POST /v1/messages/count_tokens, which takes no more than what it counts.
std::string count_body_for(parley::Json const& request, Names const& names, Manners const& manners);

// Puts an answer together from its events. Text leaves as it comes, the rest at the end.
class Answer final : public model_wire::Reader {
public:
    Answer(Names names, Body body) : names_(std::move(names)), body_(std::move(body)) {}

    Took take(std::string_view data, std::vector<std::string>& items) override;
    bool is_complete() const override { return is_done_; }
    bool finish(std::vector<std::string>& items) override;
    void add_usage(std::vector<std::string>& items) const override;
    std::string next_body() override;

private:
    struct Block {
        parley::Json start;
        std::string type, text, thinking, signature, input, citations;
        bool is_closed = false;
    };

    Took take_event(parley::Json const& event, std::vector<std::string>& items);
    bool begin_block(parley::Json const& event, std::vector<std::string>& items);
    bool add_delta(parley::Json const& event, std::vector<std::string>& items);
    void take_usage(parley::Json const& usage);
    void take_stop(parley::Json const& event);
    bool take_whole(parley::Json const& message, std::vector<std::string>& items);
    void tell_usage(std::vector<std::string>& items) const;
    std::string content() const;

    Names names_;
    Body body_;
    std::vector<Block> blocks_;
    std::map<std::int64_t, std::size_t> open_;  // index of the stream -> block
    std::optional<model_wire::Usage> usage_;    // of this message
    model_wire::Usage before_;                  // of those that paused
    std::string stop_, detail_;
    int pauses_ = 0;
    bool is_done_ = false, is_counted_ = false;
};

}  // namespace anthropic
