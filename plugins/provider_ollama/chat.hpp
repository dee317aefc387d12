#pragma once

// Ollama's own chat wire without a network: a request of the host becomes a body, lines become the
// host's items. It repairs nothing that a model says.
#include "../model_wire/exchange.hpp"
#include "../model_wire/names.hpp"
#include "parley/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ollama {

using model_wire::Names;

struct Manners {
    std::int64_t num_ctx = 32768;
    std::string think = "auto", keep_alive;
};

// The body for POST /api/chat.
std::string body_for(parley::Json const& request, Names const& names, Manners const& manners);

// Puts an answer together from its lines. Text leaves as it comes, the rest at the end.
class Answer final : public model_wire::Reader {
public:
    explicit Answer(Names names) : names_(std::move(names)) {}

    bool reads_lines() const override { return true; }
    Took take(std::string_view data, std::vector<std::string>& items) override;
    bool is_complete() const override { return is_done_; }
    bool finish(std::vector<std::string>& items) override;
    void add_usage(std::vector<std::string>& items) const override;

private:
    struct Call {
        std::string id, name, arguments;
    };

    Names names_;
    std::vector<Call> calls_;
    std::optional<model_wire::Usage> usage_;
    std::string reason_;
    bool is_done_ = false;
};

}  // namespace ollama
