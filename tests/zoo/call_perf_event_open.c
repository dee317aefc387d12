/* Watches the processor.
   Expect: forbidden system call: perf_event_open
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
}
