/* Writes where there is no memory.
   Expect: signal 11
   Check: completes-once */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    *(volatile char *)16 = 1;
}
