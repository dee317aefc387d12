/* Opens a WebSocket to a host that it did not declare.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) { connect_to(call, "{\"url\":\"wss://c.zoo.example/\"}"); }
