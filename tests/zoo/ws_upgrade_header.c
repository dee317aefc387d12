/* Sets a header of the upgrade, which is the host's.
   Expect: is the host's to set
   Check: egress-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    connect_to(call, "{\"url\":\"wss://a.zoo.example/\",\"headers\":[[\"Sec-WebSocket-Extensions\",\"x\"]]}");
}
