/* Sends half a frame and waits.
   Expect: longer than its timeout
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    send(3, "\x10\0\0", 3, 0);
    for (;;) pause();
}
