/* Kills the host.
   Expect: errno:
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, kill(atoi(given("pid")), SIGKILL));
}
