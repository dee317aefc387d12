/* Prints ten megabytes.
   Expect: longer than its timeout
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    for (int i = 0; i < 100000; ++i) printf("%0100d\n", i);
    fflush(stdout);
    tell(call, "printed");
}
