/* Answers a webhook twice.
   Expect: 200 first
   Check: completes-once */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    say(listener, request, 200, "first");
    say(listener, request, 500, "SECOND");
}
