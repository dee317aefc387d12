/* Changes the limits of another process.
   Expect: not permitted */
#include "zoo.h"

#include <sys/resource.h>
static void attack(parley_id call) {
    struct rlimit none = {0, 0};
    outcome(call, syscall(SYS_prlimit64, atoi(given("pid")), RLIMIT_NOFILE, &none, NULL));
}
