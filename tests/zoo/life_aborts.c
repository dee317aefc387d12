/* Aborts.
   Expect: died of signal */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    abort();
}
