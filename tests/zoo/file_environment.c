/* Looks for an environment.
   Expect: 0 variables
   Check: none */
#include "zoo.h"

static void attack(parley_id call) {
    int count = 0;
    while (environ && environ[count]) ++count;
    tell(call, "%d variables", count);
}
