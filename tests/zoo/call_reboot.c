/* Reboots the machine.
   Expect: forbidden system call: reboot
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_reboot, 0, 0, 0, 0));
}
