/* Answers with a status that means nothing.
   Expect: {}
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    host->complete(host, call, -9999, "{}", 2);
}
