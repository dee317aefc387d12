/* Closes its link.
   Expect: longer than its timeout
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    close(3);
    for (;;) pause();
}
