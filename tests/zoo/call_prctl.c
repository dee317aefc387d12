/* Makes itself dumpable.
   Expect: forbidden system call: prctl
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_prctl, 4, 1, 0, 0, 0));
}
