/* Opens its own memory by /proc.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/proc/self/mem", O_RDWR));
}
