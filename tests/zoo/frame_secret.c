/* Asks for the bytes of a secret that is only to be placed, past the worker that would not lend it.
   Expect: the manifest does not name
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    char body[16];
    memcpy(body, &call, 8);
    memcpy(body + 8, "token", 5);
    write_frame(PARLEY_F_REVEAL, 0, 9999, body, 13);
}
