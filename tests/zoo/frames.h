/* A frame of the worker link, written past the worker's own code. */
#ifndef PARLEY_ZOO_FRAMES_H
#define PARLEY_ZOO_FRAMES_H

#include "zoo.h"

#include <parley/frame.h>

__attribute__((unused)) static void write_frame(uint16_t type, uint16_t flags, uint64_t id,
                                                const void *body, uint32_t size) {
    char bytes[4096];
    parley_frame frame = {size, type, flags, id};
    memcpy(bytes, &frame, sizeof frame);
    memcpy(bytes + sizeof frame, body, size);
    send(3, bytes, sizeof frame + size, MSG_NOSIGNAL);
}

/* A completion with that content. */
__attribute__((unused)) static void write_answer(uint64_t call, const char *content) {
    char body[256] = {0};
    int size = snprintf(body + 4, sizeof body - 4, "{\"content\":\"%s\"}", content);
    write_frame(PARLEY_F_COMPLETE, 0, call, body, (uint32_t)(4 + size));
}
#endif
