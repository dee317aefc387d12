/* Fetches from a host that it did not declare.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://c.zoo.example/\"}");
}
