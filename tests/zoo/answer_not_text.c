/* Answers with bytes that are no text.
   Expect: not UTF-8
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":\"\xff\xfe\"}");
}
