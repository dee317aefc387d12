/* Never completes its call.
   Expect: longer than its timeout
   Check: cancel-latency */
#include "zoo.h"

static void attack(parley_id call) {
    (void)call;
}
