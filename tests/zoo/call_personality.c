/* Becomes another kind of process.
   Expect: forbidden system call: personality
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_personality, 0x0040000));
}
