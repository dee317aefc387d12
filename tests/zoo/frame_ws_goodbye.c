/* Says goodbye over a WebSocket with a code that no frame may carry, past the worker.
   Expect: that is none
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    uint32_t code = 1006;
    write_frame(PARLEY_F_WS_CLOSE, 0, 9999, &code, sizeof code);
}
