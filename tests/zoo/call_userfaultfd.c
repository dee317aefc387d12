/* Handles page faults.
   Expect: forbidden system call: userfaultfd
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_userfaultfd, 0));
}
