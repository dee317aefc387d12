/* Hides the host behind a user.
   Expect: holds user information
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example@c.zoo.example/\"}");
}
