/* Sends a frame of a type that is not.
   Expect: worker
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    unsigned char frame[16] = {0, 0, 0, 0, 0xff, 0xff};
    send(3, frame, sizeof frame, 0);
}
