/* Opens a file of the system.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/etc/passwd", O_RDONLY));
}
