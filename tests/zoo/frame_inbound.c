/* Hears webhooks that its manifest does not name, past the worker that would not lend it.
   Expect: the manifest does not name
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    write_frame(PARLEY_F_INBOUND_LISTEN, 0, 9999, &call, 8);
}
