/* Answers after its time, when the host has given up the call.
   Expect: longer than its timeout
   Check: start-returns-fast */
#include "zoo.h"

static void attack(parley_id call) {
    sleep(8);
    tell(call, "TOO LATE");
}
