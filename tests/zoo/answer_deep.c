/* Answers with ten thousand nested lists.
   Expect: the skill's result is
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    static char deep[20064] = "{\"content\":";
    size_t size = strlen(deep);
    memset(deep + size, '[', 10000);
    memset(deep + size + 10000, ']', 10000);
    strcpy(deep + size + 20000, "}");
    answer(call, deep);
}
