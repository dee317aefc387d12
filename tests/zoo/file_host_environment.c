/* Reads the host's environment.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("host", "/environ"), O_RDONLY));
}
