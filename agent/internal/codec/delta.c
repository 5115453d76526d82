//go:build cgo

#include "delta_state.h"
#include "tables.h"
#include "transform.h"

enum { DC_PRED, V_PRED, H_PRED, TM_PRED };

/* How a block is said to move. */
enum { MOVE_ZERO, MOVE_NEAREST, MOVE_NEAR, MOVE_NEW };

static int plane_open(plane *p, int w, int h, int align) {
  p->w = w;
  p->h = h;
  p->stride = (w + align - 1) / align * align;
  int rows = (h + align - 1) / align * align;
  p->p = calloc((size_t)p->stride, (size_t)rows);
  return p->p != NULL;
}

hr_delta *hr_delta_open(int width, int height) {
  hr_delta *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->cols = (width + 15) / 16;
  d->rows = (height + 15) / 16;
  int ok = 1;
  for (int i = 0; i < 3; i++) {
    int w = i ? (width + 1) / 2 : width, h = i ? (height + 1) / 2 : height, align = i ? 8 : 16;
    ok = ok && plane_open(&d->src[i], w, h, align) && plane_open(&d->rec[i], w, h, align) &&
         plane_open(&d->old[i], w, h, align);
  }
  size_t n = (size_t)d->cols * d->rows;
  d->quality = calloc(n, 1);
  d->info = calloc((size_t)(d->cols + 1) * (d->rows + 1), sizeof *d->info);
  d->above = calloc(d->cols, sizeof *d->above);
  if (!ok || !d->quality || !d->info || !d->above) {
    hr_delta_close(d);
    return NULL;
  }
  return d;
}

void hr_delta_close(hr_delta *d) {
  if (!d) return;
  for (int i = 0; i < 3; i++) {
    free(d->src[i].p);
    free(d->rec[i].p);
    free(d->old[i].p);
  }
  free(d->quality);
  free(d->info);
  free(d->above);
  free(d->tokens);
  free(d->out.p);
  free(d);
}

int hr_delta_compare(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                     int stride_uv, uint8_t *map) {
  int n = 0;
  for (int r = 0; r < d->rows; r++) {
    for (int c = 0; c < d->cols; c++) {
      uint8_t *m = &map[r * d->cols + c];
      if (!*m) continue;
      *m = !(same(&d->src[0], y, stride_y, c * 16, r * 16, 16, 0) &&
             same(&d->src[1], u, stride_uv, c * 8, r * 8, 8, 0) &&
             same(&d->src[2], v, stride_uv, c * 8, r * 8, 8, 0));
      n += *m;
    }
  }
  return n;
}

int hr_delta_busy(hr_delta *d, const uint8_t *y, int stride) {
  int n = 0;
  for (int r = 0; r < d->src[0].h; r += 16) {
    for (int c = 0; c < d->src[0].w; c += 16) {
      int w = min_int(16, d->src[0].w - c), h = min_int(16, d->src[0].h - r), busy = 0;
      const uint8_t *p = y + (size_t)r * stride + c, first = *p;
      for (int i = 0; i < h && !busy; i++, p += stride) {
        for (int j = 0; j < w; j++) busy |= p[j] ^ first;
      }
      n += busy != 0;
    }
  }
  return n;
}

static void take(plane *src, const uint8_t *f, int stride, int x, int y, int side) {
  int w = min_int(side, src->w - x), h = min_int(side, src->h - y);
  uint8_t *to = src->p + (size_t)y * src->stride + x;
  for (int i = 0; i < side; i++, to += src->stride) {
    memcpy(to, f + (size_t)(y + min_int(i, h - 1)) * stride + x, w);
    if (w < side) memset(to + w, to[w - 1], side - w);
  }
}

void hr_delta_take(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y, int stride_uv,
                   const uint8_t *map) {
  for (int r = 0; r < d->rows; r++) {
    for (int c = 0; c < d->cols; c++) {
      if (map && !map[r * d->cols + c]) continue;
      take(&d->src[0], y, stride_y, c * 16, r * 16, 16);
      take(&d->src[1], u, stride_uv, c * 8, r * 8, 8);
      take(&d->src[2], v, stride_uv, c * 8, r * 8, 8);
    }
  }
}

int hr_delta_blurred(hr_delta *d, int q, uint8_t *map, int limit) {
  size_t n = (size_t)d->cols * d->rows, start = d->sharpen_at;
  int found = 0;
  d->scroll = 0;
  if (map) memset(map, 0, n);
  for (size_t i = 0; i < n; i++) {
    size_t at = (start + i) % n;
    if (d->quality[at] <= q) continue;
    if (map && found < limit) {
      map[at] = 1;
      d->sharpen_at = at + 1;
    }
    found++;
  }
  return found;
}

int hr_delta_from_vpx(hr_delta *d, hr_vpx *e, const uint8_t *map, int q) {
  size_t n = (size_t)d->cols * d->rows;
  for (size_t i = 0; i < n; i++) {
    if (!map || map[i]) d->quality[i] = (uint8_t)q;
  }
  return hr_vpx_get_last(e, d->rec[0].p, d->rec[1].p, d->rec[2].p, d->rec[0].stride, d->rec[1].stride);
}

int hr_delta_to_vpx(hr_delta *d, hr_vpx *e) {
  return hr_vpx_set_last(e, d->rec[0].p, d->rec[1].p, d->rec[2].p, d->rec[0].stride, d->rec[1].stride);
}

/* --- prediction --- */

static int sad(const uint8_t *a, int sa, const uint8_t *b, int sb, int side) {
  int sum = 0;
  for (int i = 0; i < side; i++, a += sa, b += sb) {
    for (int j = 0; j < side; j++) sum += a[j] > b[j] ? a[j] - b[j] : b[j] - a[j];
  }
  return sum;
}

/* predict_move writes what old has at row offset dy pixels, for one plane. */
static void predict_move(const plane *old, int x, int y, int side, int dy, uint8_t *to) {
  int odd = 0;
  if (side == 8) {
    odd = dy & 1;
    dy = (dy - odd) / 2;
  }
  const uint8_t *from = old->p + (size_t)(y + dy) * old->stride + x;
  if (!odd) {
    for (int i = 0; i < side; i++) memcpy(to + i * side, from + (size_t)i * old->stride, side);
    return;
  }
  int rows = plane_rows(old, 8);
  for (int i = 0; i < side; i++) {
    int r = y + dy + i;
    if (r >= 2 && r + 3 < rows) {
      const uint8_t *p = old->p + (size_t)r * old->stride + x;
      ptrdiff_t s = old->stride;
      for (int j = 0; j < side; j++, p++) {
        int v = (3 * (p[-2 * s] + p[3 * s]) - 16 * (p[-s] + p[2 * s]) + 77 * (p[0] + p[s]) + 64) >> 7;
        to[i * side + j] = v < 0 ? 0 : v > 255 ? 255 : v;
      }
      continue;
    }
    for (int j = 0; j < side; j++) to[i * side + j] = half_row(old->p + x + j, old->stride, r, rows);
  }
}

static void predict_intra(const plane *rec, int x, int y, int side, int mode, uint8_t *to) {
  const uint8_t *p = rec->p + (size_t)y * rec->stride + x;
  const uint8_t *up = p - rec->stride;
  int shift = side == 16 ? 3 : 2, sum = 0, dc = 128;
  switch (mode) {
    case V_PRED:
      for (int i = 0; i < side; i++) memcpy(to + i * side, up, side);
      return;
    case H_PRED:
      for (int i = 0; i < side; i++) memset(to + i * side, p[(ptrdiff_t)i * rec->stride - 1], side);
      return;
    case TM_PRED:
      for (int i = 0; i < side; i++) {
        int base = p[(ptrdiff_t)i * rec->stride - 1] - up[-1];
        for (int j = 0; j < side; j++) {
          int v = base + up[j];
          to[i * side + j] = v < 0 ? 0 : v > 255 ? 255 : v;
        }
      }
      return;
    default:
      if (y > 0) {
        for (int i = 0; i < side; i++) sum += up[i];
        shift++;
      }
      if (x > 0) {
        for (int i = 0; i < side; i++) sum += p[(ptrdiff_t)i * rec->stride - 1];
        shift++;
      }
      if (x > 0 || y > 0) dc = (sum + (1 << shift >> 1)) >> shift;
      memset(to, dc, (size_t)side * side);
  }
}

/* best_intra writes the best intra prediction and returns its error; only modes whose edges
 * are in the picture are tried. */
static int best_intra(const plane *src, const plane *rec, int x, int y, int side, uint8_t *mode, uint8_t *to) {
  uint8_t try[256];
  const uint8_t *want = src->p + (size_t)y * src->stride + x;
  int best = -1;
  for (int m = DC_PRED; m <= TM_PRED; m++) {
    if ((m == V_PRED && y == 0) || (m == H_PRED && x == 0) || (m == TM_PRED && (x == 0 || y == 0))) continue;
    predict_intra(rec, x, y, side, m, try);
    int e = sad(want, src->stride, try, side, side);
    if (best < 0 || e < best) {
      best = e;
      *mode = (uint8_t)m;
      memcpy(to, try, (size_t)side * side);
    }
  }
  return best;
}

static void set_quantizer(hr_delta *d, int q) {
  int dc = dc_steps[q], ac = ac_steps[q];
  int steps[3][2] = {{dc, ac}, {dc * 2, ac * 155 / 100 < 8 ? 8 : ac * 155 / 100}, {dc > 132 ? 132 : dc, ac}};
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 2; j++) {
      int s = steps[i][j];
      d->quant[i].step[j] = s;
      d->quant[i].mul[j] = 65536 / s + 1;
      /* Rounding toward zero saves more bits than it costs sharpness when both are short. */
      d->quant[i].bias[j] = j ? (q < 20 ? s * 3 / 8 : q < 48 ? s / 4 : s / 6) : s / 2;
    }
  }
}

enum { Q_LUMA, Q_WALSH, Q_CHROMA };

/* quantize replaces coefficients by levels in levels (zigzag order) and by what decoders
 * get back in c, from place first on. It returns the place after the last level. */
static int quantize(const hr_delta *d, int kind, int16_t *c, int first, int16_t *levels) {
  int16_t level[16];
  int step = d->quant[kind].step[1], mul = d->quant[kind].mul[1], bias = d->quant[kind].bias[1], any = 0;
  int dc = c[0];
  for (int i = 0; i < 16; i++) { /* all alike, for the compiler to do side by side */
    int v = c[i], sign = v >> 31, a = ((((v ^ sign) - sign) + bias) * mul) >> 16;
    a = a > 2047 ? 2047 : a;
    a = (a ^ sign) - sign;
    any |= a;
    level[i] = (int16_t)a;
    c[i] = (int16_t)(a * step);
  }
  if (first) {
    level[0] = 0;
    c[0] = (int16_t)dc;
  } else {
    int a = (((dc < 0 ? -dc : dc) + d->quant[kind].bias[0]) * d->quant[kind].mul[0]) >> 16;
    a = a > 2047 ? 2047 : a;
    a = dc < 0 ? -a : a;
    any |= a;
    level[0] = (int16_t)a;
    c[0] = (int16_t)(a * d->quant[kind].step[0]);
  }
  if (!any) return 0;
  int end = 0;
  for (int i = 0; i < 16; i++) {
    int v = level[zigzag[i]];
    levels[i] = (int16_t)v;
    end = v ? i + 1 : end;
  }
  return end > first ? end : 0;
}

/* --- tokens, RFC 6386 section 13 --- */

/* A token's bit waits here until the probabilities are known: the place of its probability
 * shifted left by one, or 0x8000 and the probability itself, and the bit. */
static inline void put_token(hr_delta *d, int place, int bit) {
  d->counts[place][bit]++;
  d->tokens[d->ntokens++] = (uint16_t)(place << 1 | bit);
}

static inline void put_extra(hr_delta *d, int prob, int bit) {
  d->tokens[d->ntokens++] = (uint16_t)(0x8000 | prob << 1 | bit);
}

static void put_level(hr_delta *d, int at, int v) {
  static const uint8_t cat[6][12] = {{159},
                                     {165, 145},
                                     {173, 148, 140},
                                     {176, 155, 140, 135},
                                     {180, 157, 141, 134, 130},
                                     {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}};
  static const int base[6] = {5, 7, 11, 19, 35, 67}, bits[6] = {1, 2, 3, 4, 5, 11};
  int a = v < 0 ? -v : v, k;
  put_token(d, at + 2, a > 1);
  if (a > 1) {
    put_token(d, at + 3, a > 4);
    if (a <= 4) {
      put_token(d, at + 4, a > 2);
      if (a > 2) put_token(d, at + 5, a > 3);
    } else {
      put_token(d, at + 6, a > 10);
      if (a <= 10) {
        put_token(d, at + 7, a > 6);
        k = a > 6;
      } else {
        put_token(d, at + 8, a > 34);
        k = a > 34 ? 4 + (a > 66) : 2 + (a > 18);
        put_token(d, at + (a > 34 ? 10 : 9), a > 34 ? a > 66 : a > 18);
      }
      for (int i = bits[k] - 1, e = a - base[k]; i >= 0; i--) put_extra(d, cat[k][bits[k] - 1 - i], (e >> i) & 1);
    }
  }
  put_extra(d, 128, v < 0);
}

/* put_block writes the levels of one 4x4 block, from place first to end (0: none). */
static void put_block(hr_delta *d, int type, int context, const int16_t *levels, int first, int end) {
  int i = first;
  int at = ((type * 8 + bands[i]) * 3 + context) * 11;
  if (end <= first) {
    put_token(d, at, 0);
    return;
  }
  put_token(d, at, 1);
  for (;;) {
    int v = levels[i++];
    if (!v) {
      put_token(d, at + 1, 0);
      at = ((type * 8 + bands[i]) * 3) * 11;
      continue; /* after a zero there is always more */
    }
    put_token(d, at + 1, 1);
    put_level(d, at, v);
    if (i == 16) return;
    at = ((type * 8 + bands[i]) * 3 + (v > 1 || v < -1 ? 2 : 1)) * 11;
    put_token(d, at, i < end);
    if (i >= end) return;
  }
}

static int tokens_room(hr_delta *d) {
  const size_t most = 25 * 16 * 24; /* a block of nothing but the longest tokens */
  if (d->ntokens + most <= d->captokens) return 1;
  size_t cap = d->captokens * 2 + most;
  uint16_t *p = realloc(d->tokens, cap * sizeof *p);
  if (!p) return 0;
  d->tokens = p;
  d->captokens = cap;
  return 1;
}

/* --- one block --- */

typedef struct {
  int16_t y[16][16], uv[8][16], walsh[16];
  int16_t ly[16][16], luv[8][16], lwalsh[16];
  int ey[16], euv[8], ewalsh;
} coefficients;

static void differ(const plane *src, int x, int y, int side, const uint8_t *pred, int16_t *out) {
  const uint8_t *p = src->p + (size_t)y * src->stride + x;
  for (int i = 0; i < side; i++, p += src->stride) {
    for (int j = 0; j < side; j++) out[i * side + j] = (int16_t)(p[j] - pred[i * side + j]);
  }
}

static void put_pixels(const plane *rec, int x, int y, int side, const uint8_t *pred) {
  uint8_t *p = rec->p + (size_t)y * rec->stride + x;
  for (int i = 0; i < side; i++) memcpy(p + (size_t)i * rec->stride, pred + i * side, side);
}

/* transform codes the difference to the prediction and reconstructs the block as decoders
 * will. It returns whether anything is left to be said. */
static int transform(hr_delta *d, int c, int r, const uint8_t *py, uint8_t puv[2][64], coefficients *k) {
  int16_t diff[256];
  int any = 0;
  differ(&d->src[0], c * 16, r * 16, 16, py, diff);
  int16_t dcs[16];
  for (int b = 0; b < 16; b++) {
    forward(diff + (b >> 2) * 64 + (b & 3) * 4, 16, k->y[b]);
    dcs[b] = k->y[b][0];
    k->ey[b] = quantize(d, Q_LUMA, k->y[b], 1, k->ly[b]);
    any |= k->ey[b];
  }
  forward_walsh(dcs, k->walsh);
  k->ewalsh = quantize(d, Q_WALSH, k->walsh, 0, k->lwalsh);
  any |= k->ewalsh;
  inverse_walsh(k->walsh, dcs);
  for (int p = 0; p < 2; p++) {
    differ(&d->src[1 + p], c * 8, r * 8, 8, puv[p], diff);
    for (int b = 0; b < 4; b++) {
      int i = p * 4 + b;
      forward(diff + (b >> 1) * 32 + (b & 1) * 4, 8, k->uv[i]);
      k->euv[i] = quantize(d, Q_CHROMA, k->uv[i], 0, k->luv[i]);
      any |= k->euv[i];
    }
  }
  put_pixels(&d->rec[0], c * 16, r * 16, 16, py);
  put_pixels(&d->rec[1], c * 8, r * 8, 8, puv[0]);
  put_pixels(&d->rec[2], c * 8, r * 8, 8, puv[1]);
  if (!any) return 0;
  for (int b = 0; b < 16; b++) {
    k->y[b][0] = dcs[b];
    uint8_t *to = d->rec[0].p + (size_t)(r * 16 + (b >> 2) * 4) * d->rec[0].stride + c * 16 + (b & 3) * 4;
    if (k->ey[b] || dcs[b]) inverse_add(k->y[b], to, d->rec[0].stride);
  }
  for (int i = 0; i < 8; i++) {
    plane *rec = &d->rec[1 + i / 4];
    uint8_t *to = rec->p + (size_t)(r * 8 + (i >> 1 & 1) * 4) * rec->stride + c * 8 + (i & 1) * 4;
    if (k->euv[i]) inverse_add(k->uv[i], to, rec->stride);
  }
  return 1;
}

static void put_coefficients(hr_delta *d, int c, const coefficients *k) {
  uint8_t *a = d->above[c], *l = d->left;
  put_block(d, 1, a[8] + l[8], k->lwalsh, 0, k->ewalsh);
  a[8] = l[8] = k->ewalsh > 0;
  for (int b = 0; b < 16; b++) {
    uint8_t *ca = &a[b & 3], *cl = &l[b >> 2];
    put_block(d, 0, *ca + *cl, k->ly[b], 1, k->ey[b]);
    *ca = *cl = k->ey[b] > 0;
  }
  for (int i = 0; i < 8; i++) {
    uint8_t *ca = &a[4 + (i >> 2) * 2 + (i & 1)], *cl = &l[4 + (i >> 2) * 2 + (i >> 1 & 1)];
    put_block(d, 2, *ca + *cl, k->luv[i], 0, k->euv[i]);
    *ca = *cl = k->euv[i] > 0;
  }
}

/* code_block chooses a prediction, codes the block and notes how. */
static void code_block(hr_delta *d, int c, int r, const plane *old, int q, block_info *info) {
  uint8_t py[256], puv[2][64], iy[256];
  coefficients k;
  const uint8_t *want = d->src[0].p + (size_t)r * 16 * d->src[0].stride + c * 16;
  predict_move(&old[0], c * 16, r * 16, 16, 0, py);
  int best = sad(want, d->src[0].stride, py, 16, 16), dy = 0;
  if (d->scroll && r * 16 + d->scroll >= 0 && r * 16 + 16 + d->scroll <= d->rows * 16) {
    predict_move(&old[0], c * 16, r * 16, 16, d->scroll, iy);
    int e = sad(want, d->src[0].stride, iy, 16, 16);
    if (e < best) {
      best = e;
      dy = d->scroll;
      memcpy(py, iy, sizeof py);
    }
  }
  info->inter = 1;
  if (best > 512) {
    uint8_t mode = DC_PRED;
    int e = best_intra(&d->src[0], &d->rec[0], c * 16, r * 16, 16, &mode, iy);
    if (e + 256 < best) {
      info->inter = 0;
      info->y_mode = mode;
      memcpy(py, iy, sizeof py);
      /* Both chroma planes share a mode; the first decides. */
      best_intra(&d->src[1], &d->rec[1], c * 8, r * 8, 8, &info->uv_mode, puv[0]);
      predict_intra(&d->rec[2], c * 8, r * 8, 8, info->uv_mode, puv[1]);
    }
  }
  if (info->inter) {
    info->row = (int16_t)(dy * 8);
    for (int p = 0; p < 2; p++) predict_move(&old[1 + p], c * 8, r * 8, 8, dy, puv[p]);
  }
  info->skip = !transform(d, c, r, py, puv, &k);
  if (info->skip) {
    memset(d->above[c], 0, sizeof d->above[c]);
    memset(d->left, 0, sizeof d->left);
  } else {
    put_coefficients(d, c, &k);
  }
  d->quality[r * d->cols + c] = (uint8_t)q;
}

/* move_block copies a block that merely moved. */
static void move_block(hr_delta *d, int c, int r, const uint8_t *quality, block_info *info) {
  uint8_t p[256];
  for (int i = 0; i < 3; i++) {
    int side = i ? 8 : 16;
    predict_move(&d->old[i], c * side, r * side, side, d->scroll, p);
    put_pixels(&d->rec[i], c * side, r * side, side, p);
  }
  info->row = (int16_t)(d->scroll * 8);
  int from = (r * 16 + d->scroll) / 16, to = min_int((r * 16 + 15 + d->scroll) / 16, d->rows - 1);
  uint8_t a = quality[from * d->cols + c], b = quality[to * d->cols + c];
  /* Chroma of an odd scroll is a little off, and the block worth a sharpening. */
  uint8_t worst = a > b ? a : b, least = d->scroll & 1 ? 30 : 0;
  d->quality[r * d->cols + c] = worst > least ? worst : least;
}

/* --- the picture --- */

/* neighbours is what section 16.3 finds around a block. */
typedef struct {
  int near[3]; /* best, nearest, near: rows in 1/8 pixel */
  int cnt[4];
} neighbours;

static int clamp_row(const hr_delta *d, int row, int r) {
  int lo = -(r * 16 * 8) - 128, hi = (d->rows - 1 - r) * 16 * 8 + 128;
  return row < lo ? lo : row > hi ? hi : row;
}

static void look_around(const hr_delta *d, const block_info *b, neighbours *n) {
  const block_info *around[3] = {b - (d->cols + 1), b - 1, b - (d->cols + 1) - 1};
  static const int weight[3] = {2, 2, 1};
  int mv[4] = {0}, at = 0;
  memset(n, 0, sizeof *n);
  for (int i = 0; i < 3; i++) {
    const block_info *o = around[i];
    if (!o->inter) continue;
    if (!o->row) {
      n->cnt[0] += weight[i];
      continue;
    }
    if (!at || o->row != mv[at]) mv[++at] = o->row;
    n->cnt[at] += weight[i];
  }
  if (n->cnt[3] && mv[at] == mv[1]) n->cnt[1]++;
  n->cnt[3] = 0; /* no block is split */
  if (n->cnt[2] > n->cnt[1]) {
    int t = n->cnt[1];
    n->cnt[1] = n->cnt[2];
    n->cnt[2] = t;
    t = mv[1];
    mv[1] = mv[2];
    mv[2] = t;
  }
  n->near[0] = n->cnt[1] >= n->cnt[0] ? mv[1] : 0;
  n->near[1] = mv[1];
  n->near[2] = mv[2];
}

/* put_component writes one part of a motion vector, in quarter pixels. */
static void put_component(hr_bool *b, int v, const uint8_t *p) {
  int a = v < 0 ? -v : v;
  bool_put(b, a > 7, p[0]);
  if (a <= 7) {
    bool_put(b, a >> 2, p[2]);
    bool_put(b, a >> 1 & 1, p[a >> 2 ? 6 : 3]);
    bool_put(b, a & 1, p[(a >> 2 ? 7 : 4) + (a >> 1 & 1)]);
  } else {
    for (int i = 0; i < 3; i++) bool_put(b, a >> i & 1, p[9 + i]);
    for (int i = 9; i > 3; i--) bool_put(b, a >> i & 1, p[9 + i]);
    if (a > 15) bool_put(b, a >> 3 & 1, p[9 + 3]);
  }
  if (a) bool_put(b, v < 0, p[1]);
}

static void put_inter(const hr_delta *d, hr_bool *b, const block_info *info, int r) {
  neighbours n;
  look_around(d, info, &n);
  int move = MOVE_NEW;
  if (!info->row)
    move = MOVE_ZERO;
  else if (clamp_row(d, n.near[1], r) == info->row && n.near[1])
    move = MOVE_NEAREST;
  else if (clamp_row(d, n.near[2], r) == info->row && n.near[2])
    move = MOVE_NEAR;
  bool_put(b, move != MOVE_ZERO, mode_contexts[n.cnt[0] * 4]);
  if (move == MOVE_ZERO) return;
  bool_put(b, move != MOVE_NEAREST, mode_contexts[n.cnt[1] * 4 + 1]);
  if (move == MOVE_NEAREST) return;
  bool_put(b, move != MOVE_NEAR, mode_contexts[n.cnt[2] * 4 + 2]);
  if (move == MOVE_NEAR) return;
  bool_put(b, 0, mode_contexts[n.cnt[3] * 4 + 3]);
  put_component(b, (info->row - clamp_row(d, n.near[0], r)) / 2, mv_probs);
  put_component(b, 0, mv_probs + 19);
}

static void put_intra(hr_bool *b, const block_info *info) {
  int y = info->y_mode, uv = info->uv_mode;
  bool_put(b, y != DC_PRED, y_mode_probs[0]);
  if (y != DC_PRED) {
    bool_put(b, y == TM_PRED, y_mode_probs[1]);
    if (y == TM_PRED)
      bool_put(b, 0, y_mode_probs[3]);
    else
      bool_put(b, y == H_PRED, y_mode_probs[2]);
  }
  bool_put(b, uv != DC_PRED, uv_mode_probs[0]);
  if (uv == DC_PRED) return;
  bool_put(b, uv != V_PRED, uv_mode_probs[1]);
  if (uv != V_PRED) bool_put(b, uv == TM_PRED, uv_mode_probs[2]);
}

/* share is the probability, of 256, that something said n times of all is not so. */
static int share(uint32_t zeros, uint32_t all) {
  if (!all) return 128;
  uint32_t p = (uint32_t)(((uint64_t)zeros * 256 + all / 2) / all);
  return p < 1 ? 1 : p > 255 ? 255 : (int)p;
}

/* cost is the price of a bit that has probability p of 256, in 1/256 bits: -256 log2(p/256),
 * close enough for choosing. */
static int cost(int p) {
  int n = 31 - __builtin_clz((unsigned)p);
  int frac = (p << 8 >> n) - 256; /* p = 2^n (1 + frac/256) */
  return (8 - n) * 256 - (frac + (frac * (256 - frac) * 88 >> 16));
}

/* put_probabilities writes those token probabilities that pay for being sent. */
static void put_probabilities(hr_delta *d, hr_bool *b) {
  for (int i = 0; i < 1056; i++) {
    uint32_t zeros = d->counts[i][0], ones = d->counts[i][1];
    int old = token_probs[i], update = token_update_probs[i], p = old;
    if (zeros + ones) {
      p = share(zeros, zeros + ones);
      int64_t saved = (int64_t)zeros * (cost(old) - cost(p)) + (int64_t)ones * (cost(256 - old) - cost(256 - p));
      if (saved <= 8 * 256 + cost(256 - update) - cost(update)) p = old;
    }
    bool_put(b, p != old, update);
    if (p != old) bool_literal(b, p, 8);
    d->probs[i] = (uint8_t)p;
  }
}

/* put_header writes what section 9 says of an inter picture, up to the blocks. */
static void put_header(hr_delta *d, hr_bool *b, int q, int prob_skip, int prob_intra) {
  bool_put(b, 0, 128);      /* no segments */
  bool_put(b, 0, 128);      /* loop filter: normal, */
  bool_literal(b, 0, 6 + 3); /* level 0, sharpness 0 */
  bool_put(b, 0, 128);      /* no filter deltas */
  bool_literal(b, 0, 2);    /* one partition of tokens */
  bool_literal(b, q, 7);
  bool_literal(b, 0, 5);    /* no quantizer deltas */
  bool_literal(b, 0, 2);    /* golden and altref stay, */
  bool_literal(b, 0, 4);    /* nothing is copied to them, */
  bool_literal(b, 0, 2);    /* their movement is not mirrored */
  bool_put(b, 0, 128);      /* probabilities hold for this picture only */
  bool_put(b, 1, 128);      /* this is the next one's last picture */
  put_probabilities(d, b);
  bool_put(b, 1, 128);      /* blocks may be skipped */
  bool_literal(b, prob_skip, 8);
  bool_literal(b, prob_intra, 8);
  bool_literal(b, 255, 8);  /* inter blocks refer to the last picture, */
  bool_literal(b, 128, 8);  /* never to golden or altref */
  bool_literal(b, 0, 2);    /* intra mode probabilities stay */
  for (int i = 0; i < 2 * 19; i++) bool_put(b, 0, mv_update_probs[i]);
}

/* encode_blocks goes over the picture and leaves modes in info, coefficients in tokens. */
static int encode_blocks(hr_delta *d, const uint8_t *map, int q) {
  uint8_t *quality = d->quality;
  const plane *old = d->rec;
  size_t n = (size_t)d->cols * d->rows;
  uint8_t *before = NULL;
  if (d->scroll) {
    for (int i = 0; i < 3; i++) {
      memcpy(d->old[i].p, d->rec[i].p, (size_t)d->rec[i].stride * plane_rows(&d->rec[i], i ? 8 : 16));
    }
    old = d->old;
    before = malloc(n);
    if (!before) return 0;
    memcpy(before, quality, n);
  }
  d->ntokens = 0;
  memset(d->counts, 0, sizeof d->counts);
  memset(d->above, 0, sizeof *d->above * d->cols);
  int ok = 1;
  for (int r = 0; r < d->rows && ok; r++) {
    memset(d->left, 0, sizeof d->left);
    for (int c = 0; c < d->cols; c++) {
      block_info *info = &d->info[(r + 1) * (d->cols + 1) + c + 1];
      *info = (block_info){.inter = 1, .skip = 1};
      int m = map[r * d->cols + c];
      if (m == 1) {
        if (!(ok = tokens_room(d))) break;
        code_block(d, c, r, old, q, info);
        continue;
      }
      memset(d->above[c], 0, sizeof d->above[c]);
      memset(d->left, 0, sizeof d->left);
      if (m == 2) move_block(d, c, r, before, info);
    }
  }
  free(before);
  return ok;
}

hr_result hr_delta_encode(hr_delta *d, const uint8_t *map, int q) {
  hr_result res = {NULL, 0, "no memory for a delta picture"};
  set_quantizer(d, q);
  if (!encode_blocks(d, map, q)) return res;
  uint32_t skipped = 0, intra = 0, n = (uint32_t)(d->cols * d->rows);
  for (int r = 0; r < d->rows; r++) {
    for (int c = 0; c < d->cols; c++) {
      const block_info *info = &d->info[(r + 1) * (d->cols + 1) + c + 1];
      skipped += info->skip;
      intra += !info->inter;
    }
  }
  hr_bytes *o = &d->out;
  o->n = 0;
  if (!bytes_room(o, 3)) return res;
  o->n = 3;
  hr_bool b;
  bool_start(&b, o);
  int prob_skip = share(n - skipped, n), prob_intra = share(intra, n);
  put_header(d, &b, q, prob_skip, prob_intra);
  for (int r = 0; r < d->rows; r++) {
    for (int c = 0; c < d->cols; c++) {
      const block_info *info = &d->info[(r + 1) * (d->cols + 1) + c + 1];
      bool_put(&b, info->skip, prob_skip);
      bool_put(&b, info->inter, prob_intra);
      if (info->inter) {
        bool_put(&b, 0, 255);
        put_inter(d, &b, info, r);
      } else {
        put_intra(&b, info);
      }
    }
  }
  bool_finish(&b);
  size_t first = o->n - 3;
  bool_start(&b, o);
  for (size_t i = 0; i < d->ntokens; i++) {
    uint16_t t = d->tokens[i];
    bool_put(&b, t & 1, t & 0x8000 ? (t >> 1) & 0xff : d->probs[t >> 1]);
  }
  bool_finish(&b);
  if (o->failed) return res;
  /* Section 9.1: an inter picture, version 0, shown, and the first partition's size. */
  uint32_t tag = 1 | 0 << 1 | 1 << 4 | (uint32_t)first << 5;
  o->p[0] = (uint8_t)tag;
  o->p[1] = (uint8_t)(tag >> 8);
  o->p[2] = (uint8_t)(tag >> 16);
  res.data = o->p;
  res.size = o->n;
  res.err = NULL;
  return res;
}
