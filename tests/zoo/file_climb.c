/* Climbs out of its root.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, openat(AT_FDCWD, "../../../../../../etc/shadow", O_RDONLY));
}
