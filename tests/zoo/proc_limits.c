/* Changes the limits of another process.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

#include <sys/resource.h>
static void attack(parley_id call) {
    struct rlimit none = {0, 0};
    int pid = atoi(given("pid"));
    outcome(call, syscall(SYS_prlimit64, pid ? pid : 2, RLIMIT_NOFILE, &none, NULL));
}
