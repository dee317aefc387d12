/* Answers with more than an answer may hold, past the worker that would not let it.
   Expect: 503
   Check: process-hygiene */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    static char text[50000] = "{\"status\":200,\"body\":\"";
    size_t size = strlen(text);
    memset(text + size, 'x', sizeof text - size - 3);
    memcpy(text + sizeof text - 3, "\"}", 3);
    write_answer(listener, request, text);
}
