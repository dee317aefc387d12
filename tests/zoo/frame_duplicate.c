/* Writes its answer twice, past the worker that would refuse the second.
   Expect: the first
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    write_answer(call, "the first");
    write_answer(call, "THE SECOND");
}
