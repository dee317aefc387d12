/* Mounts.
   Expect: forbidden system call: mount
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_mount, "none", "/dev", "tmpfs", 0, 0));
}
