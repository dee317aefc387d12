/* Sends a descriptor over its link.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    struct msghdr message = {0};
    outcome(call, sendmsg(3, &message, 0));
}
