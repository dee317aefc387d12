/* Fetches from this machine, in octal.
   Expect: a host of numbers
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"http://0177.0.0.1/\"}");
}
