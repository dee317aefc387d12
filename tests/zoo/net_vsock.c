/* Opens a socket of the family AF_VSOCK.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, socket(AF_VSOCK, SOCK_STREAM, 0));
}
