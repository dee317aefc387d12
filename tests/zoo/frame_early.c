/* Says that it is ready once more, with a sandbox that it does not have.
   Expect: unknown type
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    static const char report[] = "{\"frame\":1,\"abi\":1,\"profile\":[]}";
    (void)call;
    write_frame(PARLEY_F_READY, 0, 0, report, sizeof report - 1);
}
