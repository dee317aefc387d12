#pragma once

// Asks the person, or whatever stands at standard input, for a secret. Nothing is echoed, and
// nothing is ever taken from a command line.
#include "base/result.hpp"
#include "base/secret.hpp"

namespace parley {

// From a terminal a line, after a prompt; from anything else all that comes, less its last newline.
Result<Secret> ask_secret(char const* prompt);
// The same, but of anything else the first line only: what follows may be a value to set.
Result<Secret> ask_passphrase();
// At a terminal it is asked for twice, and both must be equal.
Result<Secret> ask_new_passphrase();

}  // namespace parley
