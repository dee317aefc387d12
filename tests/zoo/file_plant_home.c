/* Plants a file in the home.
   Expect: No such file
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    outcome(call, open(below("home", "/plugins/planted.so"), O_CREAT | O_WRONLY, 0600));
}
