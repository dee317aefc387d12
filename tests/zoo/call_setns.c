/* Enters the namespaces of another.
   Expect: forbidden system call: setns
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_setns, 3, 0));
}
