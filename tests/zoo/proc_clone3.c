/* Clones itself by the call whose flags a filter cannot see.
   Expect: not implemented
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, syscall(SYS_clone3, 0, 0));
}
