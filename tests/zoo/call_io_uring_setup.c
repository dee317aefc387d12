/* Makes a ring that filters do not see.
   Expect: forbidden system call: io_uring_setup
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_io_uring_setup, 8, 0));
}
