/* What a plugin in C does with parley/json.h, compiled as C11. */
#include "parley/json.h"

#include "json_c.h"

size_t order_of(const char *request, size_t size, char *out, size_t room) {
    parley_json_node nodes[32];
    parley_json document;
    parley_json_value wanted, item;
    parley_json_out answer = parley_json_to(out, room);
    char name[16];
    if (!parley_json_read(&document, request, size, nodes, 32)) return 0;
    wanted = parley_json_get(parley_json_root(&document), "wanted");
    parley_json_begin(&answer, '{');
    parley_json_key(&answer, "names");
    parley_json_begin(&answer, '[');
    for (item = parley_json_first(wanted); item.document; item = parley_json_next(item)) {
        if (parley_json_name(item, name, sizeof name) != PARLEY_JSON_NONE) {
            parley_json_string(&answer, name);
        }
    }
    parley_json_end(&answer, ']');
    parley_json_key(&answer, "count");
    parley_json_int(&answer, parley_json_count(wanted));
    parley_json_end(&answer, '}');
    return parley_json_done(&answer) ? answer.size : 0;
}
