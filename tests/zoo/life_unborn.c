/* Fails while it is made.
   Expect: create */
#define ZOO_CREATE PARLEY_E_INTERNAL
#include "zoo.h"

static void attack(parley_id call) {
    tell(call, "IT LIVES");
}
