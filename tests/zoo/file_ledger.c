/* Opens the ledger.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/ledger/CURRENT"), O_RDONLY));
}
