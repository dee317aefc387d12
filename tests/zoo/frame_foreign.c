/* Writes the answer of a call that is not its own.
   Expect: not open
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    write_answer(call + 2, "OF ANOTHER");
}
