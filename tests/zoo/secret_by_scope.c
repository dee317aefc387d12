/* Names a secret by scope and key.
   Expect: declares no secret
   Check: secret-undeclared */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\",\"inject\":[{\"slot\":\"header:Authorization\",\"secret\":\"zoo/canary\"}]}");
}
