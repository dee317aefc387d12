/* Takes a better place.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

#include <sys/resource.h>
static void attack(parley_id call) {
    outcome(call, setpriority(PRIO_PROCESS, 0, -20));
}
