/* Opens a WebSocket that its manifest does not name, past the worker that would not lend it.
   Expect: the manifest does not name
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    char body[64];
    static const char where[] = "{\"url\":\"wss://a.zoo.example/\"}";
    memcpy(body, &call, 8);
    memcpy(body + 8, where, sizeof where - 1);
    write_frame(PARLEY_F_WS_OPEN, 0, 9999, body, (uint32_t)(8 + sizeof where - 1));
}
