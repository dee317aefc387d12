/* Makes its link a listener.
   Expect: not permitted */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, listen(3, 1));
}
