/* Types into a terminal.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

#include <sys/ioctl.h>
static void attack(parley_id call) {
    outcome(call, ioctl(0, TIOCSTI, "x"));
}
