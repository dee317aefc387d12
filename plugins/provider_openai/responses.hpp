#pragma once

// The Responses wire without a network: a request of the host becomes a body, typed events become
// the host's items. Nothing is left at the service: what it wants back goes into the answer's
// state.
#include "../model_wire/exchange.hpp"
#include "../model_wire/names.hpp"
#include "parley/json.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openai {

// The body for POST /responses. `carries_reasoning` asks for the model's reasoning, sealed, so that
// it can be given back.
std::string responses_body_for(parley::Json const& request, model_wire::Names const& names,
                               bool carries_reasoning);

// The schema as strict mode takes it, when whatever fits that also fits the schema and nothing is
// asked for that was free to be left out; else nothing. What is only dropped from it are bounds
// that strict mode does not know.
std::optional<std::string> strict_schema(parley::Json const& schema);

// Puts an answer together from its events. Text leaves as it comes, the rest at the end.
class ResponsesAnswer final : public model_wire::Reader {
public:
    explicit ResponsesAnswer(model_wire::Names names) : names_(std::move(names)) {}

    Took take(std::string_view data, std::vector<std::string>& items) override;
    bool is_complete() const override { return is_done_; }
    bool finish(std::vector<std::string>& items) override;
    void add_usage(std::vector<std::string>& items) const override;

private:
    Took take_event(parley::Json const& event, std::vector<std::string>& items);
    bool take_item(std::int64_t index, parley::Json const& item, std::vector<std::string>& items);
    Took take_end(parley::Json const& response, std::vector<std::string>& items);
    void take_usage(parley::Json const& usage);
    bool say_at(char const* type, parley::Json const& event, std::vector<std::string>& items);
    std::string content() const;

    model_wire::Names names_;
    std::map<std::int64_t, parley::Json> output_;  // whole items, by their place
    std::map<std::int64_t, bool> spoken_;          // text of these has left
    std::optional<model_wire::Usage> usage_;
    std::string reason_;  // why it is incomplete
    bool is_done_ = false, is_refusal_ = false;
};

}  // namespace openai
