/* Writes over its own file after it was hashed.
   Expect: errno:
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/plugin.so", O_RDWR));
}
