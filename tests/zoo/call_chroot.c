/* Changes its root.
   Expect: forbidden system call: chroot
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_chroot, "/dev"));
}
