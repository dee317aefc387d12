/* Answers a webhook that it was never given.
   Expect: 200 refused with -7
   Check: stale-id */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    char text[64];
    parley_status status = say(listener, request + 1000, 200, "FOREIGN");
    snprintf(text, sizeof text, "refused with %d", (int)status);
    say(listener, request, 200, text);
}
