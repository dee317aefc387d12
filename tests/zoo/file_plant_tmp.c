/* Plants a file where all may write.
   Expect: errno: */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open("/tmp/planted", O_CREAT | O_WRONLY, 0600));
}
