/* Throws across the line.
   Expect: died of signal */
#include "zoo.h"

static void attack(parley_id) {
    throw 1;
}
