/* Answers with what is no JSON.
   Expect: 503
   Check: response-schema */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    inbound->answer(host, listener, request, "\xff{", 2);
}
