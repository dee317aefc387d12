/* Acts for its call after that has ended. What it would have got stands in the log.
   Expect: it is over
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    static const char what[] = "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\"}";
    const parley_host_http_v1 *http =
        (const parley_host_http_v1 *)host->get_interface(host, PARLEY_HOST_HTTP);
    parley_id operation;
    tell(call, "it is over");
    if (http->start(host, call, what, strlen(what), NULL, 0, &operation) >= 0 ||
        host->emit(host, call, "x", 1) >= 0)
        host->log(host, PARLEY_LOG_ERROR, "IT ACTED AFTERWARDS", 19);
}
