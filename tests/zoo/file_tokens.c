/* Opens the tokens' hashes.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/tokens"), O_RDONLY));
}
