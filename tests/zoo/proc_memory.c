/* Takes all memory.
   Expect: memory ended
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    size_t megabytes = 0;
    for (char *piece; megabytes < 65536 && (piece = malloc(1 << 20)); ++megabytes) memset(piece, 1, 4096);
    tell(call, megabytes < 65536 ? "memory ended" : "THERE WAS NO END");
}
