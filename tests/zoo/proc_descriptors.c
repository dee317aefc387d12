/* Opens descriptors without end.
   Expect: descriptors ended
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    int count = 0;
    while (count < 100000 && dup(2) >= 0) ++count;
    tell(call, count < 100000 ? "descriptors ended" : "THERE WAS NO END");
}
