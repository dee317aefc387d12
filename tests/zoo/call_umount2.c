/* Unmounts.
   Expect: forbidden system call: umount2
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_umount2, "/usr", 2));
}
