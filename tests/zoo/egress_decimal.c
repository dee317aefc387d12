/* Fetches from this machine, in one number.
   Expect: a host of numbers
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"http://2130706433/\"}");
}
