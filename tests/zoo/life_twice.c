/* Completes its call twice.
   Expect: first */
#include "zoo.h"

static void attack(parley_id call) {
    tell(call, "first");
    tell(call, "SECOND");
}
