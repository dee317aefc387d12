/* Hopes that the host fills in a text that looks like the place of a secret.
   Expect: {{secret:token}}
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    tell(call, "{{secret:token}} secret://zoo/canary ${token}");
}
