#pragma once

// The Chat Completions wire without a network: a request of the host becomes a body, chunks become
// the host's items. It repairs nothing that a model says.
#include "names.hpp"
#include "parley/json.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openai {

// The names of all skills that a request offers or remembers.
Names names_in(parley::Json const& request);

// The body for POST /chat/completions. `max_tokens_field` is what this server calls the limit.
std::string body_for(parley::Json const& request, Names const& names,
                     std::string_view max_tokens_field);

// Puts an answer together from its chunks. Text leaves as it comes, the rest at the end.
class Answer {
public:
    explicit Answer(Names names) : names_(std::move(names)) {}

    enum class Took {
        fine,
        done,     // the mark that nothing follows
        error,    // the chunk is the server's word that it failed
        garbage,  // see why()
    };
    // One chunk, or a whole answer of a server that does not stream. Adds items for the host.
    Took take(std::string_view data, std::vector<std::string>& items);
    std::string const& why() const { return why_; }

    // The server said that the answer is whole.
    bool is_complete() const { return is_done_ || !finish_.empty(); }
    // The last items: usage, calls, stop. False, with why(), when the calls make no sense.
    bool finish(std::vector<std::string>& items);
    // Only what is known of the usage, for an answer that failed.
    void add_usage(std::vector<std::string>& items) const;

private:
    struct Call {
        std::int64_t index = 0;
        std::string id, name, arguments;
    };
    struct Usage {
        std::int64_t input = 0, output = 0, cache_read = 0, cache_write = 0;
    };

    bool take_delta(parley::Json const& delta, std::vector<std::string>& items);
    bool take_call(parley::Json const& fragment, std::int64_t position);
    void take_usage(parley::Json const& usage);
    bool say(char const* type, std::string_view text, std::vector<std::string>& items);
    bool grow(std::size_t bytes);
    bool garbage(std::string why);
    Call& call_of(parley::Json const& fragment, std::int64_t position);
    std::string_view stop_reason() const;

    Names names_;
    std::vector<Call> calls_;
    std::optional<Usage> usage_;
    std::string finish_, why_;
    std::size_t bytes_ = 0;
    bool is_done_ = false, is_refusal_ = false;
};

}  // namespace openai
