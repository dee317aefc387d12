/* Speaks another protocol.
   Expect: neither http nor https
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"gopher://a.zoo.example/\"}");
}
