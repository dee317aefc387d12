#pragma once

// The Chat Completions wire without a network: a request of the host becomes a body, chunks become
// the host's items. It repairs nothing that a model says.
#include "../model_wire/exchange.hpp"
#include "../model_wire/names.hpp"
#include "parley/json.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openai {

using model_wire::Names;

// The body for POST /chat/completions. `max_tokens_field` is what this server calls the limit.
std::string body_for(parley::Json const& request, Names const& names,
                     std::string_view max_tokens_field);

// Puts an answer together from its chunks. Text leaves as it comes, the rest at the end.
class Answer final : public model_wire::Reader {
public:
    explicit Answer(Names names) : names_(std::move(names)) {}

    Took take(std::string_view data, std::vector<std::string>& items) override;
    bool is_complete() const override { return is_done_ || !finish_.empty(); }
    bool finish(std::vector<std::string>& items) override;
    void add_usage(std::vector<std::string>& items) const override;

private:
    struct Call {
        std::int64_t index = 0;
        std::string id, name, arguments;
    };

    bool take_delta(parley::Json const& delta, std::vector<std::string>& items);
    bool take_call(parley::Json const& fragment, std::int64_t position);
    void take_usage(parley::Json const& usage);
    void tell_usage(std::vector<std::string>& items) const;
    Call& call_of(parley::Json const& fragment, std::int64_t position);
    std::string_view stop_reason() const;

    Names names_;
    std::vector<Call> calls_;
    std::optional<model_wire::Usage> usage_;
    std::string finish_;
    bool is_done_ = false, is_refusal_ = false, is_counted_ = false;
};

}  // namespace openai
