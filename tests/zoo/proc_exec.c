/* Runs a shell.
   Expect: not permitted
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, execl("/bin/sh", "sh", "-c", "true", NULL));
}
