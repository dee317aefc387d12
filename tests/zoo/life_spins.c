/* Burns its only thread for ever.
   Expect: longer than its timeout
   Check: start-returns-fast */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    for (volatile int i = 0;; ++i) continue;
}
