/* Fetches from this machine, in IPv6 clothes.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"http://[::ffff:127.0.0.1]/\"}");
}
