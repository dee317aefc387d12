/* Fetches while it is made, for no call.
   Expect: refused with
   Check: wrong-state */
#include <parley/plugin.h>

static parley_status act(void);
static parley_status early;
#define ZOO_CREATE act()
#include "zoo.h"

static parley_status act(void) {
    static const char what[] = "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\"}";
    const parley_host_http_v1 *http = host->get_interface(host, PARLEY_HOST_HTTP);
    parley_id operation;
    early = http->start(host, 0, what, strlen(what), NULL, 0, &operation);
    return PARLEY_OK;
}

static void attack(parley_id call) {
    verdict(call, early);
}
