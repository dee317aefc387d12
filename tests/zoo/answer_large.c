/* Answers with a megabyte, where a quarter is taken.
   Expect: [cut:
   Check: response-schema */
#include "zoo.h"

static void attack(parley_id call) {
    size_t size = 1 << 20;
    char *text = malloc(size + 64);
    strcpy(text, "{\"content\":\"");
    memset(text + 12, 'x', size);
    strcpy(text + 12 + size, "\"}");
    answer(call, text);
}
