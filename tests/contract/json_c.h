/* What json_c.c, which is C, does for json_c_test.cpp. */
#ifndef JSON_C_H
#define JSON_C_H
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Answers {"names":[the members of "wanted"],"count":how many}, or 0 when something does not fit. */
size_t order_of(const char *request, size_t size, char *out, size_t room);

#ifdef __cplusplus
}
#endif
#endif
