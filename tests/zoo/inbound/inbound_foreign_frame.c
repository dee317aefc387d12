/* Answers a webhook that it was never given, past the worker that would not let it.
   Expect: 503
   Check: process-hygiene */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    write_answer(listener, request + 1000, "{\"status\":200,\"body\":\"FOREIGN\"}");
}
