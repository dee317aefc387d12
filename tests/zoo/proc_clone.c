/* Clones itself.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
