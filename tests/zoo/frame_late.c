/* Goes on emitting for a call that has its answer.
   Expect: answered
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    write_answer(call, "answered");
    write_frame(PARLEY_F_EMIT, 0, call, "LATE", 4);
}
