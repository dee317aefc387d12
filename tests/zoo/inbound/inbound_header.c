/* Would end the header early by its content type.
   Expect: 200 mine
   Check: none */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    static const char text[] =
        "{\"status\":200,\"body\":\"mine\",\"content_type\":\"a\\r\\nX-Evil: 1\"}";
    inbound->answer(host, listener, request, text, sizeof text - 1);
}
