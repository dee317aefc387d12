/* JSON for plugins in C: a bounded reader and a writer, in C11 and C++20. Neither allocates: the
   caller gives the reader an array of nodes, one for each value, and the writer a buffer. The
   reader refuses invalid UTF-8, deep nesting, names that stand twice and trailing bytes; it keeps
   no state, so any thread may use it.

       parley_json_node nodes[64];
       parley_json request;
       char place[200];
       if (!parley_json_read(&request, bytes, size, nodes, 64)) return PARLEY_E_INVALID;
       parley_json_value arguments = parley_json_get(parley_json_root(&request), "arguments");
       if (parley_json_text(parley_json_get(arguments, "place"), place, sizeof place) ==
           PARLEY_JSON_NONE) return PARLEY_E_INVALID;

   A value that is not there is a value too, of kind PARLEY_JSON_MISSING, so a path can be walked
   without asking at each step. Names that end in _ are not for authors. */
#ifndef PARLEY_JSON_H
#define PARLEY_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PARLEY_JSON_DEPTH = 64,       /* of arrays and objects in each other */
    PARLEY_JSON_BYTES = 32 << 20, /* of a whole text: the largest message of the ABI */
    PARLEY_JSON_NUMBER_BYTES = 64 /* of a number that parley_json_number reads */
};

enum {
    PARLEY_JSON_MISSING = 0,
    PARLEY_JSON_NULL,
    PARLEY_JSON_TRUE,
    PARLEY_JSON_FALSE,
    PARLEY_JSON_NUMBER,
    PARLEY_JSON_STRING,
    PARLEY_JSON_ARRAY,
    PARLEY_JSON_OBJECT
};

#define PARLEY_JSON_NONE ((size_t)-1)

typedef struct parley_json_node {
    uint32_t kind;
    uint32_t begin, end;      /* the exact text of the value */
    uint32_t name, name_size; /* of a member: between its quotes, escapes as they stand */
    uint32_t next;            /* the sibling that follows, 0 for none */
    uint32_t count;           /* items or members; the first is the node after this one */
    uint32_t order;           /* while names are compared */
} parley_json_node;

/* A document that was read. Text and nodes stay the caller's and must live as long as it. */
typedef struct parley_json {
    const char *text;
    const parley_json_node *nodes;
    uint32_t node_count;
    const char *why; /* why it was refused, or NULL */
    size_t at;       /* and at which byte */
} parley_json;

typedef struct parley_json_value {
    const parley_json *document; /* NULL: missing */
    uint32_t index;
} parley_json_value;

/* Reads one whole document; 1 when it is sound, else 0 with `why` and `at`. `room` nodes bound how
   many values it may hold. */
static inline int parley_json_read(parley_json *out, const char *text, size_t size,
                                   parley_json_node *nodes, size_t room);

/* Length of the UTF-8 character at `text`, 1 to 4, or 0 when it is none. */
static inline size_t parley_utf8_length(const char *text, size_t size);

/* ---- The reader, inside. ------------------------------------------------------------------ */

typedef struct parley_json_reader_ {
    const char *text;
    size_t size, at;
    parley_json_node *nodes;
    size_t room, used;
    const char *why;
} parley_json_reader_;

static inline int parley_utf8_follows_(const char *text, size_t size, size_t at) {
    return at < size && ((unsigned char)text[at] & 0xC0) == 0x80;
}

static inline size_t parley_utf8_length(const char *text, size_t size) {
    unsigned first = size > 0 ? (unsigned char)text[0] : 0x80;
    unsigned second = size > 1 ? (unsigned char)text[1] : 0;
    size_t length = first < 0x80   ? 1
                    : first < 0xC2 ? 0
                    : first < 0xE0 ? 2
                    : first < 0xF0 ? 3
                    : first < 0xF5 ? 4
                                   : 0;
    size_t at;
    for (at = 1; at < length; ++at) {
        if (!parley_utf8_follows_(text, size, at)) return 0;
    }
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0)) return 0;
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return 0;
    return length;
}

static inline uint32_t parley_json_hex4_(const char *text) {
    uint32_t out = 0;
    int i;
    for (i = 0; i < 4; ++i) {
        unsigned char c = (unsigned char)text[i];
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10
                                                : UINT32_MAX;
        if (digit == UINT32_MAX) return UINT32_MAX;
        out = out << 4 | digit;
    }
    return out;
}

/* The next code point of text that was checked, escapes taken for what they mean. */
static inline uint32_t parley_json_code_(const char **at, const char *end, int has_escapes) {
    const unsigned char *c = (const unsigned char *)*at;
    size_t length = parley_utf8_length(*at, (size_t)(end - *at));
    if (has_escapes && c[0] == '\\' && end - *at >= 2) {
        uint32_t code;
        *at += 2;
        switch (c[1]) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                break;
            default:
                return c[1];
        }
        if (end - *at < 4) return 0xFFFD;
        code = parley_json_hex4_(*at);
        *at += 4;
        if (code >= 0xD800 && code < 0xDC00 && end - *at >= 6) {
            code = 0x10000 + ((code - 0xD800) << 10) + (parley_json_hex4_(*at + 2) - 0xDC00);
            *at += 6;
        }
        return code;
    }
    *at += length > 0 ? length : 1;
    switch (length) {
        case 1:
            return c[0];
        case 2:
            return (c[0] & 0x1Fu) << 6 | (c[1] & 0x3Fu);
        case 3:
            return (c[0] & 0x0Fu) << 12 | (c[1] & 0x3Fu) << 6 | (c[2] & 0x3Fu);
        case 4:
            return (c[0] & 0x07u) << 18 | (c[1] & 0x3Fu) << 12 | (c[2] & 0x3Fu) << 6 |
                   (c[3] & 0x3Fu);
        default:
            return 0xFFFD;
    }
}

/* Below, at or above 0, as the one text stands before, is, or stands behind the other. */
static inline int parley_json_compare_(const char *a, size_t a_size, int a_has_escapes,
                                       const char *b, size_t b_size, int b_has_escapes) {
    const char *a_end = a + a_size, *b_end = b + b_size;
    while (a < a_end && b < b_end) {
        uint32_t left = parley_json_code_(&a, a_end, a_has_escapes);
        uint32_t right = parley_json_code_(&b, b_end, b_has_escapes);
        if (left != right) return left < right ? -1 : 1;
    }
    return (a < a_end) - (b < b_end);
}

static inline int parley_json_fail_(parley_json_reader_ *r, const char *why) {
    if (!r->why) r->why = why;
    return 0;
}
static inline int parley_json_peek_(const parley_json_reader_ *r) {
    return r->at < r->size ? (unsigned char)r->text[r->at] : -1;
}
static inline int parley_json_take_(parley_json_reader_ *r, char wanted) {
    if (r->at >= r->size || r->text[r->at] != wanted) return 0;
    ++r->at;
    return 1;
}
static inline void parley_json_skip_(parley_json_reader_ *r) {
    while (r->at < r->size && (r->text[r->at] == ' ' || r->text[r->at] == '\n' ||
                               r->text[r->at] == '\r' || r->text[r->at] == '\t')) {
        ++r->at;
    }
}

static inline int parley_json_word_(parley_json_reader_ *r, const char *wanted) {
    size_t size = strlen(wanted);
    if (r->size - r->at < size || memcmp(r->text + r->at, wanted, size) != 0) {
        return parley_json_fail_(r, "a value wanted");
    }
    r->at += size;
    return 1;
}

static inline size_t parley_json_digits_(parley_json_reader_ *r) {
    size_t start = r->at;
    while (r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9') ++r->at;
    return r->at - start;
}

static inline int parley_json_scan_number_(parley_json_reader_ *r) {
    int zero;
    size_t digits;
    parley_json_take_(r, '-');
    zero = parley_json_peek_(r) == '0';
    digits = parley_json_digits_(r);
    if (digits == 0) return parley_json_fail_(r, "a value wanted");
    if (zero && digits > 1) return parley_json_fail_(r, "a number with a leading zero");
    if (parley_json_take_(r, '.') && parley_json_digits_(r) == 0) {
        return parley_json_fail_(r, "digits wanted");
    }
    if (parley_json_take_(r, 'e') || parley_json_take_(r, 'E')) {
        if (!parley_json_take_(r, '+')) parley_json_take_(r, '-');
        if (parley_json_digits_(r) == 0) return parley_json_fail_(r, "digits wanted");
    }
    return 1;
}

/* Behind the backslash. */
static inline int parley_json_scan_escape_(parley_json_reader_ *r) {
    int name = parley_json_peek_(r);
    uint32_t code;
    if (name != 'u') {
        if (name <= 0 || !strchr("\"\\/bfnrt", name))
            return parley_json_fail_(r, "an unknown escape");
        ++r->at;
        return 1;
    }
    ++r->at;
    code = r->size - r->at >= 4 ? parley_json_hex4_(r->text + r->at) : UINT32_MAX;
    if (code == UINT32_MAX) return parley_json_fail_(r, "four hex digits wanted");
    r->at += 4;
    if (code < 0xD800 || code >= 0xE000) return 1;
    if (code < 0xDC00 && r->size - r->at >= 6 && r->text[r->at] == '\\' &&
        r->text[r->at + 1] == 'u') {
        uint32_t low = parley_json_hex4_(r->text + r->at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            r->at += 6;
            return 1;
        }
    }
    return parley_json_fail_(r, "half of a surrogate pair");
}

/* At the opening quote; answers what stands between the quotes. */
static inline int parley_json_scan_string_(parley_json_reader_ *r, uint32_t *begin,
                                           uint32_t *size) {
    size_t start = ++r->at;
    while (r->at < r->size && r->text[r->at] != '"') {
        if ((unsigned char)r->text[r->at] < 0x20) {
            return parley_json_fail_(r, "a control character in a string");
        }
        if (r->text[r->at++] == '\\' && !parley_json_scan_escape_(r)) return 0;
    }
    *begin = (uint32_t)start;
    *size = (uint32_t)(r->at - start);
    return parley_json_take_(r, '"') || parley_json_fail_(r, "a string without its end");
}

static inline int parley_json_compare_names_(const parley_json_reader_ *r, uint32_t a, uint32_t b) {
    const parley_json_node *left = &r->nodes[a], *right = &r->nodes[b];
    return parley_json_compare_(r->text + left->name, left->name_size, 1, r->text + right->name,
                                right->name_size, 1);
}

static inline void parley_json_sift_(const parley_json_reader_ *r, parley_json_node *heap,
                                     uint32_t root, uint32_t count) {
    for (;;) {
        uint32_t child = 2 * root + 1, kept;
        if (child >= count) return;
        if (child + 1 < count &&
            parley_json_compare_names_(r, heap[child].order, heap[child + 1].order) < 0) {
            ++child;
        }
        if (parley_json_compare_names_(r, heap[root].order, heap[child].order) >= 0) return;
        kept = heap[root].order;
        heap[root].order = heap[child].order;
        heap[child].order = kept;
        root = child;
    }
}

/* Sorts the names (a heap in the nodes themselves), so that a hostile object costs no more than
   n log n. An object of n members has at least n nodes behind it. */
static inline int parley_json_unique_(parley_json_reader_ *r, uint32_t index) {
    parley_json_node *heap = r->nodes + index + 1;
    uint32_t count = r->nodes[index].count, i, child;
    for (i = 0, child = index + 1; i < count; ++i, child = r->nodes[child].next) {
        heap[i].order = child;
    }
    for (i = count / 2; i-- > 0;) parley_json_sift_(r, heap, i, count);
    for (i = count; i-- > 1;) {
        uint32_t last = heap[i].order;
        heap[i].order = heap[0].order;
        heap[0].order = last;
        parley_json_sift_(r, heap, 0, i);
    }
    for (i = 1; i < count; ++i) {
        if (parley_json_compare_names_(r, heap[i - 1].order, heap[i].order) == 0) {
            return parley_json_fail_(r, "a name stands twice in one object");
        }
    }
    return 1;
}

static inline int parley_json_scan_(parley_json_reader_ *r, uint32_t name, uint32_t name_size,
                                    unsigned depth);

static inline int parley_json_scan_inside_(parley_json_reader_ *r, uint32_t index, unsigned depth) {
    int named = r->nodes[index].kind == PARLEY_JSON_OBJECT;
    char close = named ? '}' : ']';
    uint32_t last = 0;
    ++r->at;
    parley_json_skip_(r);
    if (parley_json_take_(r, close)) return 1;
    do {
        uint32_t name = 0, name_size = 0, child = (uint32_t)r->used;
        parley_json_skip_(r);
        if (named) {
            if (parley_json_peek_(r) != '"') return parley_json_fail_(r, "a name in quotes wanted");
            if (!parley_json_scan_string_(r, &name, &name_size)) return 0;
            parley_json_skip_(r);
            if (!parley_json_take_(r, ':')) return parley_json_fail_(r, "':' wanted");
            parley_json_skip_(r);
        }
        if (!parley_json_scan_(r, name, name_size, depth + 1)) return 0;
        if (last != 0) r->nodes[last].next = child;
        last = child;
        ++r->nodes[index].count;
        parley_json_skip_(r);
    } while (parley_json_take_(r, ','));
    if (!parley_json_take_(r, close)) {
        return parley_json_fail_(r, named ? "',' or '}' wanted" : "',' or ']' wanted");
    }
    return !named || parley_json_unique_(r, index);
}

/* Recursive descent; the depth is bounded, so the stack is too. */
static inline int parley_json_scan_(parley_json_reader_ *r, uint32_t name, uint32_t name_size,
                                    unsigned depth) {
    uint32_t index = (uint32_t)r->used, inside, inside_size;
    parley_json_node *node;
    int fine;
    if (depth > PARLEY_JSON_DEPTH) return parley_json_fail_(r, "nested too deeply");
    if (r->used >= r->room) return parley_json_fail_(r, "too many values");
    ++r->used;
    node = &r->nodes[index];
    memset(node, 0, sizeof *node);
    node->name = name;
    node->name_size = name_size;
    node->begin = (uint32_t)r->at;
    switch (parley_json_peek_(r)) {
        case '{':
            node->kind = PARLEY_JSON_OBJECT;
            fine = parley_json_scan_inside_(r, index, depth);
            break;
        case '[':
            node->kind = PARLEY_JSON_ARRAY;
            fine = parley_json_scan_inside_(r, index, depth);
            break;
        case '"':
            node->kind = PARLEY_JSON_STRING;
            fine = parley_json_scan_string_(r, &inside, &inside_size);
            break;
        case 't':
            node->kind = PARLEY_JSON_TRUE;
            fine = parley_json_word_(r, "true");
            break;
        case 'f':
            node->kind = PARLEY_JSON_FALSE;
            fine = parley_json_word_(r, "false");
            break;
        case 'n':
            node->kind = PARLEY_JSON_NULL;
            fine = parley_json_word_(r, "null");
            break;
        default:
            node->kind = PARLEY_JSON_NUMBER;
            fine = parley_json_scan_number_(r);
    }
    node->end = (uint32_t)r->at;
    return fine;
}

static inline int parley_json_scan_whole_(parley_json_reader_ *r) {
    if (r->size > (size_t)PARLEY_JSON_BYTES) return parley_json_fail_(r, "too long");
    while (r->at < r->size) {
        size_t length = parley_utf8_length(r->text + r->at, r->size - r->at);
        if (length == 0) return parley_json_fail_(r, "not UTF-8");
        r->at += length;
    }
    r->at = 0;
    parley_json_skip_(r);
    if (!parley_json_scan_(r, 0, 0, 1)) return 0;
    parley_json_skip_(r);
    return r->at == r->size || parley_json_fail_(r, "bytes after the value");
}

static inline int parley_json_read(parley_json *out, const char *text, size_t size,
                                   parley_json_node *nodes, size_t room) {
    parley_json_reader_ r;
    int fine;
    memset(&r, 0, sizeof r);
    r.text = text;
    r.size = size;
    r.nodes = nodes;
    r.room = room;
    fine = parley_json_scan_whole_(&r);
    out->text = text;
    out->nodes = nodes;
    out->node_count = fine ? (uint32_t)r.used : 0;
    out->why = fine ? NULL : r.why;
    out->at = r.at;
    return fine;
}

/* ---- Values. ------------------------------------------------------------------------------ */

static inline parley_json_value parley_json_value_at_(const parley_json *document, uint32_t index) {
    parley_json_value out;
    out.document = document && index < document->node_count ? document : NULL;
    out.index = index;
    return out;
}
static inline const parley_json_node *parley_json_node_of_(parley_json_value value) {
    return value.document ? &value.document->nodes[value.index] : NULL;
}

/* The whole document as a value; missing when it was refused. */
static inline parley_json_value parley_json_root(const parley_json *document) {
    return parley_json_value_at_(document, 0);
}

static inline uint32_t parley_json_kind(parley_json_value value) {
    const parley_json_node *node = parley_json_node_of_(value);
    return node ? node->kind : (uint32_t)PARLEY_JSON_MISSING;
}

/* Items of an array or members of an object; 0 for anything else. */
static inline uint32_t parley_json_count(parley_json_value value) {
    const parley_json_node *node = parley_json_node_of_(value);
    return node ? node->count : 0;
}

/* The first item or member; missing when there is none. */
static inline parley_json_value parley_json_first(parley_json_value value) {
    uint32_t count = parley_json_count(value);
    return parley_json_value_at_(count > 0 ? value.document : NULL, value.index + 1);
}

/* The item or member that follows; missing after the last. */
static inline parley_json_value parley_json_next(parley_json_value value) {
    const parley_json_node *node = parley_json_node_of_(value);
    return parley_json_value_at_(node && node->next > 0 ? value.document : NULL,
                                 node ? node->next : 0);
}

/* The member of that name, which is UTF-8 and ends with NUL. */
static inline parley_json_value parley_json_get(parley_json_value object, const char *name) {
    size_t size = strlen(name);
    parley_json_value member;
    if (parley_json_kind(object) != PARLEY_JSON_OBJECT) return parley_json_value_at_(NULL, 0);
    for (member = parley_json_first(object); member.document; member = parley_json_next(member)) {
        const parley_json_node *node = parley_json_node_of_(member);
        if (parley_json_compare_(member.document->text + node->name, node->name_size, 1, name, size,
                                 0) == 0) {
            break;
        }
    }
    return member;
}

/* The exact text of a value, as long as the document's text lives. Not ended by NUL. */
static inline const char *parley_json_raw(parley_json_value value, size_t *size) {
    const parley_json_node *node = parley_json_node_of_(value);
    *size = node ? node->end - node->begin : 0;
    return node ? value.document->text + node->begin : "";
}

static inline size_t parley_json_encode_(char *out, uint32_t code) {
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4, at;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (at = length; at-- > 1; code >>= 6) out[at] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(marks[length] | code);
    return length;
}

static inline size_t parley_json_copy_(const char *at, size_t size, char *out, size_t room) {
    const char *end = at + size;
    size_t used = 0;
    while (at < end) {
        char bytes[4];
        uint32_t code = parley_json_code_(&at, end, 1);
        size_t length = parley_json_encode_(bytes, code);
        if (code == 0 || room < length + 1 || used > room - length - 1) {
            if (room > 0) out[0] = '\0';
            return PARLEY_JSON_NONE;
        }
        memcpy(out + used, bytes, length);
        used += length;
    }
    if (room == 0) return PARLEY_JSON_NONE;
    out[used] = '\0';
    return used;
}

/* Copies a string, escapes resolved, and ends it with NUL; answers its length. PARLEY_JSON_NONE,
   and an empty `out`, when the value is no string, does not fit, or holds a NUL of its own. */
static inline size_t parley_json_text(parley_json_value value, char *out, size_t room) {
    const parley_json_node *node = parley_json_node_of_(value);
    if (!node || node->kind != PARLEY_JSON_STRING) {
        if (room > 0) out[0] = '\0';
        return PARLEY_JSON_NONE;
    }
    return parley_json_copy_(value.document->text + node->begin + 1, node->end - node->begin - 2,
                             out, room);
}

/* The name under which a value stands in its object, as parley_json_text gives a text. */
static inline size_t parley_json_name(parley_json_value value, char *out, size_t room) {
    const parley_json_node *node = parley_json_node_of_(value);
    if (!node || node->name == 0) {
        if (room > 0) out[0] = '\0';
        return PARLEY_JSON_NONE;
    }
    return parley_json_copy_(value.document->text + node->name, node->name_size, out, room);
}

/* Whether a value is this string, which is UTF-8 and ends with NUL. */
static inline int parley_json_is(parley_json_value value, const char *text) {
    const parley_json_node *node = parley_json_node_of_(value);
    return node && node->kind == PARLEY_JSON_STRING &&
           parley_json_compare_(value.document->text + node->begin + 1, node->end - node->begin - 2,
                                1, text, strlen(text), 0) == 0;
}

static inline int parley_json_truth(parley_json_value value, int fallback) {
    uint32_t kind = parley_json_kind(value);
    return kind == PARLEY_JSON_TRUE ? 1 : kind == PARLEY_JSON_FALSE ? 0 : fallback;
}

/* Only a number without fraction and exponent, within 64 bits; else the fallback. */
static inline int64_t parley_json_integer(parley_json_value value, int64_t fallback) {
    size_t size, at;
    const char *digits = parley_json_raw(value, &size);
    int negative = size > 0 && digits[0] == '-';
    uint64_t out = 0, most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (parley_json_kind(value) != PARLEY_JSON_NUMBER) return fallback;
    for (at = (size_t)negative; at < size; ++at) {
        uint64_t digit = (uint64_t)((unsigned char)digits[at] - (unsigned)'0');
        if (digit > 9 || out > (most - digit) / 10) return fallback;
        out = out * 10 + digit;
    }
    if (!negative) return (int64_t)out;
    return out == most ? INT64_MIN : -(int64_t)out;
}

/* Any number that fits a double and PARLEY_JSON_NUMBER_BYTES; else the fallback. */
static inline double parley_json_number(parley_json_value value, double fallback) {
    char copy[PARLEY_JSON_NUMBER_BYTES + 1];
    size_t size;
    const char *digits = parley_json_raw(value, &size);
    double out;
    if (parley_json_kind(value) != PARLEY_JSON_NUMBER || size >= sizeof copy) return fallback;
    memcpy(copy, digits, size);
    copy[size] = '\0';
    out = strtod(copy, NULL);
    return out - out == 0 ? out : fallback;
}

/* ---- The writer. -------------------------------------------------------------------------- */

/* Writes one document into the caller's buffer and keeps it ended with NUL. What does not fit, and
   what makes no JSON (a value without its name, a bracket of the wrong kind), spoils it for good,
   so that one look at parley_json_done at the end is enough. */
typedef struct parley_json_out {
    char *text;
    size_t room, size;
    uint64_t objects; /* a bit for each open bracket, the innermost lowest: 1 for an object */
    uint32_t depth;
    uint32_t is_first, has_name, is_bad;
} parley_json_out;

static inline parley_json_out parley_json_to(char *buffer, size_t room) {
    parley_json_out out;
    memset(&out, 0, sizeof out);
    out.text = buffer;
    out.room = room;
    out.is_first = 1;
    out.is_bad = room == 0;
    if (room > 0) buffer[0] = '\0';
    return out;
}

static inline void parley_json_put_(parley_json_out *out, const char *bytes, size_t size) {
    if (out->is_bad || size >= out->room - out->size) {
        out->is_bad = 1;
        return;
    }
    if (size > 0) memcpy(out->text + out->size, bytes, size);
    out->size += size;
    out->text[out->size] = '\0';
}

/* What stands before a value: a comma, or nothing; and whether one may stand here at all. */
static inline void parley_json_before_(parley_json_out *out) {
    int in_object = out->depth > 0 && (out->objects & 1);
    if (in_object ? !out->has_name : out->depth == 0 && !out->is_first) out->is_bad = 1;
    if (!out->is_first && !in_object) parley_json_put_(out, ",", 1);
    out->is_first = 0;
    out->has_name = 0;
}

/* `size` bytes as a JSON string. Bytes that are not UTF-8 become U+FFFD. */
static inline void parley_json_put_quoted_(parley_json_out *out, const char *text, size_t size) {
    static const char digits[] = "0123456789abcdef";
    static const char names[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
    size_t at = 0;
    parley_json_put_(out, "\"", 1);
    while (at < size && !out->is_bad) {
        unsigned char byte = (unsigned char)text[at];
        const char *known = byte > 0 ? strchr(names, byte) : NULL;
        size_t length = parley_utf8_length(text + at, size - at);
        char escape[6] = {'\\', 'u', '0', '0', '0', '0'};
        if (known) {
            escape[1] = letters[known - names];
            parley_json_put_(out, escape, 2);
        } else if (byte < 0x20 || byte == 0x7F) {
            escape[4] = digits[byte >> 4];
            escape[5] = digits[byte & 15];
            parley_json_put_(out, escape, 6);
        } else if (length > 0) {
            parley_json_put_(out, text + at, length);
        } else {
            parley_json_put_(out, "\xEF\xBF\xBD", 3);
        }
        at += length > 0 ? length : 1;
    }
    parley_json_put_(out, "\"", 1);
}

/* Opens '{' or '['. */
static inline void parley_json_begin(parley_json_out *out, char bracket) {
    parley_json_before_(out);
    if (out->depth >= PARLEY_JSON_DEPTH) out->is_bad = 1;
    parley_json_put_(out, &bracket, 1);
    out->objects = out->objects << 1 | (bracket == '{');
    ++out->depth;
    out->is_first = 1;
}

/* Closes it with '}' or ']'. */
static inline void parley_json_end(parley_json_out *out, char bracket) {
    int is_object = bracket == '}';
    if (out->depth == 0 || is_object != (int)(out->objects & 1) || out->has_name) {
        out->is_bad = 1;
        return;
    }
    parley_json_put_(out, &bracket, 1);
    out->objects >>= 1;
    --out->depth;
    out->is_first = 0;
}

/* The name of the value that comes next. */
static inline void parley_json_key(parley_json_out *out, const char *name) {
    if (out->depth == 0 || !(out->objects & 1) || out->has_name) out->is_bad = 1;
    if (!out->is_first) parley_json_put_(out, ",", 1);
    parley_json_put_quoted_(out, name, strlen(name));
    parley_json_put_(out, ":", 1);
    out->is_first = 0;
    out->has_name = 1;
}

static inline void parley_json_string_of(parley_json_out *out, const char *text, size_t size) {
    parley_json_before_(out);
    parley_json_put_quoted_(out, text, size);
}
static inline void parley_json_string(parley_json_out *out, const char *text) {
    parley_json_string_of(out, text, strlen(text));
}

/* A value that is JSON already; nobody checks it. */
static inline void parley_json_raw_of(parley_json_out *out, const char *json, size_t size) {
    parley_json_before_(out);
    parley_json_put_(out, json, size);
}
static inline void parley_json_null(parley_json_out *out) { parley_json_raw_of(out, "null", 4); }
static inline void parley_json_bool(parley_json_out *out, int truth) {
    parley_json_raw_of(out, truth ? "true" : "false", truth ? 4 : 5);
}
static inline void parley_json_int(parley_json_out *out, int64_t number) {
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%lld", (long long)number);
    parley_json_raw_of(out, digits, (size_t)size);
}
/* Infinite and undefined numbers are no JSON. */
static inline void parley_json_double(parley_json_out *out, double number) {
    char digits[40];
    int size = snprintf(digits, sizeof digits, "%.17g", number);
    if (!(number - number == 0)) out->is_bad = 1;
    parley_json_raw_of(out, digits, (size_t)size);
}

/* Whether one whole document stands in the buffer: out->text, out->size bytes. */
static inline int parley_json_done(const parley_json_out *out) {
    return !out->is_bad && out->depth == 0 && out->size > 0;
}

#ifdef __cplusplus
}
#endif
#endif
