#pragma once

// The script language of the rehearsal: lines that begin with / say what the model will do. This
// file knows the text only, not how it is performed; README.md is the language's reference.
#include "parley/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rehearsal {

// One thing to do. What each kind uses of the members is said beside it.
struct Action {
    enum class Kind {
        text,      // text
        reasoning, // text
        call,      // name, text: the arguments
        wait,      // number: milliseconds
        fill,      // number: bytes of text still to come
        bad_utf8,
        usage,     // number: input, second: output
        stop,      // text: the reason
        fail,      // name: the code, flag: retryable, number: how often; 0 for always
        cut,       // ends without a stop
        crash,
        hang,
        results,   // says what the calls of this turn gave
        context,   // says what the request held
    };
    Kind kind = Kind::text;
    std::string name = {}, text = {};
    std::int64_t number = 0, second = 0;
    bool flag = false;
};

using Step = std::vector<Action>;

// Does this text ask for a performance?
bool is_script(std::string_view text);

// One step for each answer of the model, as divided by /then. A line that makes no sense becomes a
// step that says so: the author of the script is the reader of the answer.
std::vector<Step> parse_script(std::string_view text);

}  // namespace rehearsal
