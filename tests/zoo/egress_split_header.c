/* Puts a second header into one.
   Expect: holds a line break
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\",\"headers\":[[\"X-A\",\"b\\r\\nHost: c.zoo.example\"]]}");
}
