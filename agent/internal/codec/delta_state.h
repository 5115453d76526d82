/* What delta.c and scroll.c share. */
#ifndef HANDRAIL_DELTA_STATE_H
#define HANDRAIL_DELTA_STATE_H

#include "boolenc.h"
#include "delta.h"

/* A block of the picture being written. */
typedef struct {
  int16_t row; /* its movement, in 1/8 pixel */
  uint8_t inter;
  uint8_t skip;
  uint8_t y_mode, uv_mode;
} block_info;

typedef struct {
  int w, h;          /* pixels */
  int stride;        /* of whole blocks */
  uint8_t *p;
} plane;

struct hr_delta {
  int cols, rows;
  plane src[3]; /* the picture last taken, its edges repeated to whole blocks */
  plane rec[3]; /* what decoders have */
  plane old[3]; /* what they had before a scroll */
  int scroll;   /* pixels the picture moved up by; negative is down */
  uint8_t *quality; /* the quantizer each block was last coded with */
  size_t sharpen_at;

  block_info *info; /* with a border row above and a column before */
  uint8_t (*above)[9], left[9];
  uint16_t *tokens; /* see put_token */
  size_t ntokens, captokens;
  uint32_t counts[1056][2];
  uint8_t probs[1056];
  hr_bytes out;
  int oom;

  struct {
    int step[2], mul[2], bias[2];
  } quant[3]; /* luma, second order luma, chroma; DC then AC */
};

static inline int plane_rows(const plane *p, int align) { return (p->h + align - 1) / align * align; }

static inline int min_int(int a, int b) { return a < b ? a : b; }

/* same tells whether the visible part of a block of f is what src has at row offset dy. */
static inline int same(const plane *src, const uint8_t *f, int stride, int x, int y, int side, int dy) {
  int w = min_int(side, src->w - x), h = min_int(side, src->h - y);
  const uint8_t *a = f + (size_t)y * stride + x;
  const uint8_t *b = src->p + (size_t)(y + dy) * src->stride + x;
  for (int i = 0; i < h; i++) {
    if (memcmp(a + (size_t)i * stride, b + (size_t)i * src->stride, w)) return 0;
  }
  return 1;
}

/* half_row is the pixel between the rows at p and at p + stride: the six tap filter of
 * RFC 6386 section 18.3 for half a pixel. row and rows keep it inside the plane. */
static inline int half_row(const uint8_t *col, int stride, int row, int rows) {
  static const int taps[6] = {3, -16, 77, 77, -16, 3};
  int sum = 64;
  for (int i = 0; i < 6; i++) {
    int r = row + i - 2;
    r = r < 0 ? 0 : r >= rows ? rows - 1 : r;
    sum += taps[i] * col[(size_t)r * stride];
  }
  sum >>= 7;
  return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

#endif
