/* Plants a file in its own root.
   Expect: errno:
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/planted", O_CREAT | O_WRONLY, 0600));
}
