/* Writes a hundred thousand lines of diagnostics.
   Expect: logged
   Check: backpressure */
#include "zoo.h"

static void attack(parley_id call) {
    for (int i = 0; i < 100000; ++i) host->log(host, PARLEY_LOG_WARN, "noise", 5);
    tell(call, "logged");
}
