/* A table that ends where the memory ends: whoever reads past its struct_size dies of it. */
#ifndef PARLEY_TEST_GUARDED_H
#define PARLEY_TEST_GUARDED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A copy of the first `size` bytes, right before a page that nobody may touch. Never freed. */
static inline void const* guarded_size(void const* table, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char* pages =
        (char*)mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* copy = pages + page - size;
    if (pages == MAP_FAILED || size > page || mprotect(pages + page, page, PROT_NONE) != 0) abort();
    memcpy(copy, table, size);
    return copy;
}

/* The same, as large as the table itself says. */
static inline void const* guarded(void const* table) {
    uint32_t size;
    if (table == NULL) return NULL;
    memcpy(&size, table, sizeof size);
    return guarded_size(table, size);
}

#endif
