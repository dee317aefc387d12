/* Emits for ever and ignores every pause.
   Expect: flood ended
   Check: backpressure */
#include "zoo.h"

static void attack(parley_id call) {
    static char item[65536];
    int count = 0;
    memset(item, 'x', sizeof item);
    while (count < 100000 && host->emit(host, call, item, sizeof item) >= 0) ++count;
    tell(call, count < 100000 ? "flood ended" : "THERE WAS NO END");
}
