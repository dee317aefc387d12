/* Opens a socket of the family AF_INET6.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, socket(AF_INET6, SOCK_STREAM, 0));
}
