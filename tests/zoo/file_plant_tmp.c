/* Plants a file where all may write.
   Expect: errno:
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/tmp/planted", O_CREAT | O_WRONLY, 0600));
}
