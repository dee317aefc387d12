/* Opens a WebSocket without TLS, where the manifest means one with it.
   Expect: is not allowed
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) { connect_to(call, "{\"url\":\"ws://a.zoo.example:443/\"}"); }
