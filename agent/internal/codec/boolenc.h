/* The boolean entropy encoder of VP8, RFC 6386 section 7. */
#ifndef HANDRAIL_BOOLENC_H
#define HANDRAIL_BOOLENC_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Growing bytes; failed is set when memory ran out, and all further writing is void. */
typedef struct {
  uint8_t *p;
  size_t n, cap;
  int failed;
} hr_bytes;

static inline int bytes_room(hr_bytes *b, size_t more) {
  if (b->n + more <= b->cap) return 1;
  size_t cap = b->cap ? b->cap * 2 : 4096;
  while (cap < b->n + more) cap *= 2;
  uint8_t *p = b->failed ? NULL : realloc(b->p, cap);
  if (!p) {
    b->failed = 1;
    return 0;
  }
  b->p = p;
  b->cap = cap;
  return 1;
}

/* low holds the bits not yet written, the lowest eight of them level with range; settled
 * counts those above. */
typedef struct {
  hr_bytes *out;
  size_t start;
  uint64_t low;
  uint32_t range;
  int settled;
} hr_bool;

static inline void bool_start(hr_bool *b, hr_bytes *out) {
  b->out = out;
  b->start = out->n;
  b->low = 0;
  b->range = 255;
  b->settled = 0;
}

static inline void bool_spill(hr_bool *b) {
  hr_bytes *o = b->out;
  if (!bytes_room(o, 8)) {
    b->settled = 0;
    b->low = 0;
    return;
  }
  while (b->settled >= 8) {
    uint32_t top = (uint32_t)(b->low >> b->settled);
    if (top & 0x100) {
      size_t i = o->n;
      while (i > b->start && o->p[i - 1] == 0xff) o->p[--i] = 0;
      if (i > b->start) o->p[i - 1]++;
    }
    o->p[o->n++] = (uint8_t)top;
    b->low &= ((uint64_t)1 << b->settled) - 1;
    b->settled -= 8;
  }
}

/* bool_put writes a bit that is 0 with probability prob/256. */
static inline void bool_put(hr_bool *b, int bit, int prob) {
  uint32_t split = 1 + (((b->range - 1) * (uint32_t)prob) >> 8);
  if (bit) {
    b->low += split;
    b->range -= split;
  } else {
    b->range = split;
  }
  int shift = __builtin_clz(b->range) - 24;
  b->range <<= shift;
  b->low <<= shift;
  b->settled += shift;
  if (b->settled >= 40) bool_spill(b);
}

static inline void bool_literal(hr_bool *b, int value, int bits) {
  while (bits-- > 0) bool_put(b, (value >> bits) & 1, 128);
}

static inline void bool_finish(hr_bool *b) {
  bool_literal(b, 0, 32);
  bool_spill(b);
}

#endif
