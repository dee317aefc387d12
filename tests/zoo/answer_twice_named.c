/* Answers with a name that stands twice.
   Expect: the skill's result is
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":\"one\",\"content\":\"two\"}");
}
