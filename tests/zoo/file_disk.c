/* Opens a disk.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/dev/vda", O_RDONLY));
}
