/* Looks for descriptors that were left open.
   Expect: open: 0 1 2 3 4 .
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    char list[256] = "";
    for (int i = 0; i < 256 && strlen(list) < 200; ++i)
        if (fcntl(i, F_GETFD) >= 0) sprintf(list + strlen(list), "%d ", i);
    tell(call, "open: %s.", list);
}
