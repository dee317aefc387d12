/* Completes a call that is not its own.
   Expect: refused with
   Check: stale-id */
#include "zoo.h"

static void attack(parley_id call) {
    verdict(call, host->complete(host, call + 2, PARLEY_OK, "{}", 2));
}
