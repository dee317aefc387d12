/* Answers with a name that stands twice.
   Expect: the skill's result is */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":\"one\",\"content\":\"two\"}");
}
