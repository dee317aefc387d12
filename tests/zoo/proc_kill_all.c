/* Kills whatever it can.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, kill(-1, SIGKILL));
}
