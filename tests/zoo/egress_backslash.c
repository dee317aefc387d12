/* Hides the host behind a backslash.
   Expect: holds a backslash */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"https://c.zoo.example\\\\@a.zoo.example/\"}");
}
