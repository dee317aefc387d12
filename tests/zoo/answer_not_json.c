/* Answers with what is not JSON.
   Expect: the skill's result is */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "content: yes");
}
