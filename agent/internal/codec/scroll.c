//go:build cgo

/* Finding what merely moved up or down. */
#include "delta_state.h"

enum {
  MAX_SCROLL = 255,  /* what a motion vector reaches */
  STRIPS = 12,       /* columns of blocks looked at */
  HASH_BITS = 12,
  MIN_SCROLL_BLOCKS = 24, /* fewer blocks are cheaper coded than searched */
};

static inline uint32_t row_hash(const uint8_t *p, int *flat) {
  uint64_t a, b;
  memcpy(&a, p, 8);
  memcpy(&b, p + 8, 8);
  *flat = a == b && a == (uint64_t)p[0] * 0x0101010101010101u;
  a = (a ^ (b >> 29) ^ (b << 35)) * 0x9e3779b97f4a7c15u;
  return (uint32_t)(a >> 32) ^ (uint32_t)b * 0x85ebca6bu;
}

/* vote counts, for one column of blocks, by how much rows that differ from their like at the
 * same place are found again elsewhere. */
static void vote(const hr_delta *d, const uint8_t *y, int stride, int x, int top, int bottom, uint32_t *votes) {
  static const int none = -1;
  int16_t head[1 << HASH_BITS];
  int16_t next[4096];
  uint32_t hash[4096];
  int n = min_int(bottom - top, 4096), flat;
  memset(head, none, sizeof head);
  for (int i = n - 1; i >= 0; i--) {
    hash[i] = row_hash(d->src[0].p + (size_t)(top + i) * d->src[0].stride + x, &flat);
    next[i] = (int16_t)none;
    if (flat) continue;
    uint32_t h = hash[i] >> (32 - HASH_BITS);
    next[i] = head[h];
    head[h] = (int16_t)i;
  }
  for (int i = 0; i < n; i++) {
    uint32_t h = row_hash(y + (size_t)(top + i) * stride + x, &flat);
    if (flat) continue;
    int tries = 8;
    for (int j = head[h >> (32 - HASH_BITS)]; j >= 0 && tries > 0; j = next[j]) {
      if (hash[j] != h) continue;
      tries--;
      if (j - i >= -MAX_SCROLL && j - i <= MAX_SCROLL) votes[j - i + MAX_SCROLL]++;
    }
  }
}

/* find_scroll returns how many pixels up most of what changed moved, or 0. */
static int find_scroll(const hr_delta *d, const uint8_t *y, int stride, const uint8_t *map) {
  int top = d->rows, bottom = 0, left = d->cols, right = 0;
  for (int r = 0; r < d->rows; r++) {
    for (int c = 0; c < d->cols; c++) {
      if (!map[r * d->cols + c]) continue;
      if (r < top) top = r;
      bottom = r + 1;
      if (c < left) left = c;
      if (c >= right) right = c + 1;
    }
  }
  right = min_int(right, d->src[0].w / 16); /* whole blocks only */
  if (right <= left) return 0;
  uint32_t votes[2 * MAX_SCROLL + 1] = {0};
  int strips = min_int(STRIPS, right - left);
  for (int i = 0; i < strips; i++) {
    int c = left + (right - left) * i / strips;
    vote(d, y, stride, c * 16, top * 16, min_int(bottom * 16, d->src[0].h), votes);
  }
  int best = MAX_SCROLL;
  votes[MAX_SCROLL] = 0;
  for (int i = 0; i <= 2 * MAX_SCROLL; i++) {
    if (votes[i] > votes[best]) best = i;
  }
  return votes[best] >= 32 ? best - MAX_SCROLL : 0;
}

/* near_chroma tells whether chroma that moves by half a sample is near enough to be put
 * right later. */
static int near_chroma(const plane *src, const uint8_t *f, int stride, int x, int y, int row) {
  int w = min_int(8, src->w - x), h = min_int(8, src->h - y), rows = plane_rows(src, 8);
  for (int j = 0; j < h; j++) {
    for (int i = 0; i < w; i++) {
      int diff = half_row(src->p + x + i, src->stride, y + j + row, rows) - f[(size_t)(y + j) * stride + x + i];
      if (diff < -40 || diff > 40) return 0;
    }
  }
  return 1;
}

int hr_delta_scroll(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                    int stride_uv, uint8_t *map) {
  int n = 0, moved = 0;
  size_t blocks = (size_t)d->cols * d->rows;
  for (size_t i = 0; i < blocks; i++) n += map[i];
  d->scroll = n < MIN_SCROLL_BLOCKS ? 0 : find_scroll(d, y, stride_y, map);
  if (!d->scroll) return n;
  int dy = d->scroll, odd = dy & 1, half = (dy - odd) / 2;
  for (int r = 0; r < d->rows; r++) {
    if (r * 16 + dy < 0 || r * 16 + 16 + dy > d->rows * 16) continue;
    for (int c = 0; c < d->cols; c++) {
      uint8_t *m = &map[r * d->cols + c];
      if (!*m || !same(&d->src[0], y, stride_y, c * 16, r * 16, 16, dy)) continue;
      int ok = odd ? near_chroma(&d->src[1], u, stride_uv, c * 8, r * 8, half) &&
                         near_chroma(&d->src[2], v, stride_uv, c * 8, r * 8, half)
                   : same(&d->src[1], u, stride_uv, c * 8, r * 8, 8, half) &&
                         same(&d->src[2], v, stride_uv, c * 8, r * 8, 8, half);
      if (!ok) continue;
      *m = 2;
      moved++;
    }
  }
  return n - moved;
}
