/* Says that its frame has four gigabytes.
   Expect: worker
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
    unsigned char frame[16] = {0xff, 0xff, 0xff, 0xff, 0x23};
    send(3, frame, sizeof frame, 0);
}
