/* Fetches a file.
   Expect: neither http nor https */
#include "zoo.h"

static void attack(parley_id call) {
    fetch(call, "{\"method\":\"GET\",\"url\":\"file:///etc/passwd\"}");
}
