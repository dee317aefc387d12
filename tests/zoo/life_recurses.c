/* Calls itself until the stack is gone.
   Expect: signal 11
   Check: completes-once */
#include "zoo.h"

static int deeper(int depth) {
    volatile char room[4096];
    room[depth % 4096] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + room[0];
}

static void attack(parley_id call) {
    tell(call, "IT CAME BACK: %d", deeper(0));
}
