#pragma once

// Gemini's wire without a network: a request of the host becomes a body, chunks become the host's
// items. Parts that carry a signature go back as they came.
#include "../model_wire/exchange.hpp"
#include "../model_wire/names.hpp"
#include "parley/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gemini {

using model_wire::Names;

struct Manners {
    bool shows_thoughts = false;
    std::string effort;
};

// What stands between base_url and the body: the model and the verb, as a path.
std::string path_for(std::string_view model);
std::string body_for(parley::Json const& request, Names const& names, Manners const& manners);

// Puts an answer together from its chunks. Text leaves as it comes, the rest at the end.
class Answer final : public model_wire::Reader {
public:
    explicit Answer(Names names) : names_(std::move(names)) {}

    Took take(std::string_view data, std::vector<std::string>& items) override;
    bool is_complete() const override { return !reason_.empty(); }
    bool finish(std::vector<std::string>& items) override;
    void add_usage(std::vector<std::string>& items) const override;

private:
    struct Call {
        std::string id, name, arguments;
    };

    Took take_chunk(parley::Json const& chunk, std::vector<std::string>& items);
    bool take_part(parley::Json const& part, std::vector<std::string>& items);
    void take_usage(parley::Json const& usage);

    Names names_;
    std::vector<std::string> parts_;  // as they came
    std::vector<Call> calls_;
    std::optional<model_wire::Usage> usage_;
    std::string reason_, detail_;
    bool is_bound_ = false, is_blocked_ = false;
};

}  // namespace gemini
