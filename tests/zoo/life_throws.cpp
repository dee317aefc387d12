/* Throws across the line.
   Expect: died of signal
   Check: completes-once */
#include "zoo.h"

static void attack(parley_id) {
    throw 1;
}
