/* Swaps its root.
   Expect: forbidden system call: pivot_root
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_pivot_root, ".", "."));
}
