/* Fails while it is made.
   Expect: create
   Check: bad-config */
#define ZOO_CREATE PARLEY_E_INTERNAL
#include "zoo.h"

static void attack(parley_id call) {
    tell(call, "IT LIVES");
}
