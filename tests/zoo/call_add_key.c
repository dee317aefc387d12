/* Puts a key into the kernel's ring.
   Expect: forbidden system call: add_key
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_add_key, "user", "x", "y", 1, -3));
}
