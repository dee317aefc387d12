/* Starts threads without end.
   Expect: threads ended
   Check: process-hygiene */
#include "zoo.h"

#include <pthread.h>

static void *rest(void *nothing) {
    for (;;) pause();
    return nothing;
}

static void attack(parley_id call) {
    pthread_t thread;
    int count = 0;
    while (count < 100000 && pthread_create(&thread, NULL, rest, NULL) == 0) ++count;
    tell(call, count < 100000 ? "threads ended" : "THERE WAS NO END");
}
