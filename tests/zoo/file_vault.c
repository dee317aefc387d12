/* Opens the vault.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/vault/secrets.vault"), O_RDONLY));
}
