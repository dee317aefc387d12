/* Writes to a WebSocket that it never opened.
   Expect: refused with -7
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    const parley_host_ws_v1 *ws =
        (const parley_host_ws_v1 *)host->get_interface(host, PARLEY_HOST_WS);
    verdict(call, ws->write(host, 7777, PARLEY_WS_TEXT, "mine", 4, NULL, 0));
}
