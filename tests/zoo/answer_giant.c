/* Answers with more than a message may hold.
   Expect: refused with
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    size_t size = (size_t)33 << 20;
    char *text = calloc(1, size);
    verdict(call, host->complete(host, call, PARLEY_OK, text, size));
}
