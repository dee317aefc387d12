/* Opens the agent's workspace, which nobody granted.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/agents/assistant/workspace"), O_RDONLY | O_DIRECTORY));
}
