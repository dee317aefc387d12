/* Posts where it declared to get.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"POST\",\"url\":\"https://a.zoo.example/\"}");
}
