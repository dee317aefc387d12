/* Begins a message of many frames and goes on with another.
   Expect: mixed
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    write_frame(PARLEY_F_COMPLETE, PARLEY_MORE, call, "\0\0\0\0{", 5);
    write_frame(PARLEY_F_EMIT, 0, call, "x", 1);
}
