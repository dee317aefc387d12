/* Opens the kernel's knobs.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/sys/kernel", O_RDONLY));
}
