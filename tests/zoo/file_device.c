/* Makes a disk's device.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, mknod("/dev/sda", S_IFBLK | 0600, 8 << 8));
}
