/* Takes another port.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example:8443/\"}");
}
