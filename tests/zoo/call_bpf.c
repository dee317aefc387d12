/* Loads a program into the kernel.
   Expect: forbidden system call: bpf
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_bpf, 0, 0, 0));
}
