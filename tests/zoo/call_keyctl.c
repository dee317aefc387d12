/* Asks the kernel's ring of keys.
   Expect: forbidden system call: keyctl
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_keyctl, 0, -3, 0));
}
