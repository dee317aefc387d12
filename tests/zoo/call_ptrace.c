/* Traces the host.
   Expect: forbidden system call: ptrace
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_ptrace, 16, atoi(given("pid")), 0, 0));
}
