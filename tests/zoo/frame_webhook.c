/* Answers a webhook by the number of a request of another kind.
   Expect: it was never given
   Check: process-hygiene */
#include "frames.h"

static void attack(parley_id call) {
    static const char where[] = "{\"method\":\"GET\",\"url\":\"https://a.zoo.example/\"}";
    char fetch_body[128], answer_body[64] = {1};
    uint32_t size = sizeof where - 1;
    memcpy(fetch_body, &call, 8);
    memcpy(fetch_body + 8, &size, 4);
    memcpy(fetch_body + 12, where, size);
    write_frame(PARLEY_F_HTTP_START, 0, 9999, fetch_body, 12 + size);
    memcpy(answer_body + 8, "{\"status\":200}", 14);
    write_frame(PARLEY_F_INBOUND_ANSWER, 0, 9999, answer_body, 22);
}
