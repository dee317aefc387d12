/* Answers a webhook twice, past the worker that would not let it.
   Expect: 200 first
   Check: process-hygiene */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    write_answer(listener, request, "{\"status\":200,\"body\":\"first\"}");
    write_answer(listener, request, "{\"status\":500,\"body\":\"SECOND\"}");
}
