/* Fetches the secrets of a cloud.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"http://169.254.169.254/latest/meta-data/\"}");
}
