/* Appends to a declared host.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example.evil.example/\"}");
}
