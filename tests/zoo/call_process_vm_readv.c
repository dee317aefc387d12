/* Reads the memory of the host.
   Expect: forbidden system call: process_vm_readv
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_process_vm_readv, atoi(given("pid")), 0, 0, 0, 0, 0));
}
