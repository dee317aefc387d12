/* Answers without content.
   Expect: no content */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{}");
}
