/* Makes namespaces of its own.
   Expect: forbidden system call: unshare
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_unshare, 0x10000000));
}
