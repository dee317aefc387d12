/* Answers with content of another type.
   Expect: no content
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":{\"a\":1}}");
}
