/* Opens the vault's key.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(given("key"), O_RDONLY));
}
