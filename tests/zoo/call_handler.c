/* Takes the handler away that names forbidden calls.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, signal(SIGSYS, SIG_IGN) == SIG_ERR ? -1 : 0);
}
