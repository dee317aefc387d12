/* Answers with what is not JSON.
   Expect: the skill's result is
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "content: yes");
}
