/* Answers with bytes that are no text.
   Expect: not UTF-8 */
#include "zoo.h"

static void attack(parley_id call) {
    answer(call, "{\"content\":\"\xff\xfe\"}");
}
