/* Calls the kernel by the gate of another architecture.
   Expect: system call filter
   Check: process-hygiene */
#include "zoo.h"

static void attack(parley_id call) {
    int result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    tell(call, "IT SUCCEEDED: %d", result);
}
