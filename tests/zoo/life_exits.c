/* Ends its process.
   Expect: status 7
   Check: completes-once */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    _exit(7);
}
