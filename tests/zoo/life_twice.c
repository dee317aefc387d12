/* Completes its call twice.
   Expect: first
   Check: completes-once */
#include "zoo.h"

static void attack(parley_id call) {
    tell(call, "first");
    tell(call, "SECOND");
}
