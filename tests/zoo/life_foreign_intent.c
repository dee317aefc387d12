/* Fetches for a call that is not its own.
   Expect: refused with
   Check: stale-id */
#include "zoo.h"

static void attack(parley_id call) {
    static const char what[] = "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\"}";
    const parley_host_http_v1 *http = host->get_interface(host, PARLEY_HOST_HTTP);
    parley_id operation;
    verdict(call, http->start(host, call + 2, what, strlen(what), NULL, 0, &operation));
}
