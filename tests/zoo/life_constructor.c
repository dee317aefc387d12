/* Acts before its entry is called.
   Expect: No such file
   Check: load-now-local */
#include "zoo.h"

static int early;

__attribute__((constructor)) static void act(void) {
    if (open("/etc/passwd", O_RDONLY) < 0) early = errno;
}

static void attack(parley_id call) {
    tell(call, "errno: %s", strerror(early));
}
