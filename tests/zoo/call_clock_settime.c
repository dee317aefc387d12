/* Sets the clock.
   Expect: forbidden system call: clock_settime
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_clock_settime, 0, 0));
}
