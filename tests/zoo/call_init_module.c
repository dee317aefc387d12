/* Loads a kernel module.
   Expect: forbidden system call: init_module
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_init_module, 0, 0, ""));
}
