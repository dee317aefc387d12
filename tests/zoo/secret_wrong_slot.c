/* Asks for its secret in another place.
   Expect: does not declare the slot
   Check: secret-slot */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\",\"inject\":[{\"slot\":\"query:q\",\"secret\":\"token\"}]}");
}
