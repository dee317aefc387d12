/* Dies while a webhook waits for it.
   Expect: 503
   Check: completes-once */
#include "inbound.h"

static void woken(parley_id listener, uint64_t request) {
    (void)listener, (void)request;
    abort();
}
