/* Writes to a WebSocket that it has closed.
   Expect: refused with -7
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    const parley_host_ws_v1 *ws =
        (const parley_host_ws_v1 *)host->get_interface(host, PARLEY_HOST_WS);
    parley_id operation = connect_to(call, "{\"url\":\"wss://a.zoo.example/\"}");
    if (!operation) return;
    ws->close(host, operation, 1000, "", 0);
    verdict(call, ws->write(host, operation, PARLEY_WS_TEXT, "late", 4, NULL, 0));
}
