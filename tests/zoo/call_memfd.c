/* Makes a file in memory, to run it.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_memfd_create, "x", 0));
}
