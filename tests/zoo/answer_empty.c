/* Answers without content.
   Expect: no content
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{}");
}
