/* Answers with a redirect, which would send the caller elsewhere.
   Expect: 503
   Check: response-schema */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    say(listener, request, 302, "elsewhere");
}
