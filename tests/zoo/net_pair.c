/* Makes a pair of sockets.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    int pair[2];
    outcome(call, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}
