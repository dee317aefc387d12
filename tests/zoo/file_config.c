/* Opens the configuration to write it.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/parley.yaml"), O_RDWR));
}
