/* Sends a frame that is the host's to send.
   Expect: worker
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    unsigned char frame[16] = {0, 0, 0, 0, 1};
    send(3, frame, sizeof frame, 0);
}
