/* Aborts.
   Expect: died of signal
   Check: completes-once */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    abort();
}
