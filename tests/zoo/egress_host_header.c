/* Sets the host header.
   Expect: is the host's to set
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\",\"headers\":[[\"Host\",\"c.zoo.example\"]]}");
}
