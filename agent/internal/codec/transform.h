/* The transforms of VP8, RFC 6386 section 14: the inverse ones as decoders do them, bit for
 * bit, and forward ones to match. */
#ifndef HANDRAIL_TRANSFORM_H
#define HANDRAIL_TRANSFORM_H

#include <stdint.h>

/* forward is the 4x4 transform whose inverse is section 14.3's. */
static inline void forward(const int16_t *in, int stride, int16_t *out) {
  int t[16];
  for (int i = 0; i < 4; i++, in += stride) {
    int a = (in[0] + in[3]) * 8, b = (in[1] + in[2]) * 8, c = (in[1] - in[2]) * 8, e = (in[0] - in[3]) * 8;
    t[i * 4] = a + b;
    t[i * 4 + 2] = a - b;
    t[i * 4 + 1] = (c * 2217 + e * 5352 + 2048) >> 12;
    t[i * 4 + 3] = (e * 2217 - c * 5352 + 2048) >> 12;
  }
  for (int i = 0; i < 4; i++) {
    int a = t[i] + t[12 + i], b = t[4 + i] + t[8 + i], c = t[4 + i] - t[8 + i], e = t[i] - t[12 + i];
    out[i] = (int16_t)((a + b + 7) >> 4);
    out[8 + i] = (int16_t)((a - b + 7) >> 4);
    out[4 + i] = (int16_t)((c * 2217 + e * 5352 + 32768) >> 16);
    out[12 + i] = (int16_t)((e * 2217 - c * 5352 + 32768) >> 16);
  }
}

static inline void inverse_add(const int16_t *in, uint8_t *to, int stride) {
  int t[16];
  for (int i = 0; i < 4; i++) {
    int a = in[i] + in[8 + i], b = in[i] - in[8 + i];
    int c = ((in[4 + i] * 35468) >> 16) - (in[12 + i] + ((in[12 + i] * 20091) >> 16));
    int e = in[4 + i] + ((in[4 + i] * 20091) >> 16) + ((in[12 + i] * 35468) >> 16);
    t[i] = a + e;
    t[12 + i] = a - e;
    t[4 + i] = b + c;
    t[8 + i] = b - c;
  }
  for (int i = 0; i < 4; i++, to += stride) {
    const int *p = t + i * 4;
    int a = p[0] + p[2], b = p[0] - p[2];
    int c = ((p[1] * 35468) >> 16) - (p[3] + ((p[3] * 20091) >> 16));
    int e = p[1] + ((p[1] * 20091) >> 16) + ((p[3] * 35468) >> 16);
    int v[4] = {(a + e + 4) >> 3, (b + c + 4) >> 3, (b - c + 4) >> 3, (a - e + 4) >> 3};
    for (int j = 0; j < 4; j++) {
      int x = to[j] + v[j];
      to[j] = x < 0 ? 0 : x > 255 ? 255 : x;
    }
  }
}

static inline void forward_walsh(const int16_t *in, int16_t *out) {
  int t[16];
  for (int i = 0; i < 4; i++) {
    int a = in[i * 4] + in[i * 4 + 3], b = in[i * 4 + 1] + in[i * 4 + 2];
    int c = in[i * 4 + 1] - in[i * 4 + 2], e = in[i * 4] - in[i * 4 + 3];
    t[i * 4] = a + b;
    t[i * 4 + 1] = c + e;
    t[i * 4 + 2] = a - b;
    t[i * 4 + 3] = e - c;
  }
  for (int i = 0; i < 4; i++) {
    int a = t[i] + t[12 + i], b = t[4 + i] + t[8 + i], c = t[4 + i] - t[8 + i], e = t[i] - t[12 + i];
    int v[4] = {a + b, c + e, a - b, e - c};
    for (int j = 0; j < 4; j++) out[j * 4 + i] = (int16_t)((v[j] + (v[j] > 0)) >> 1);
  }
}

static inline void inverse_walsh(const int16_t *in, int16_t *out) {
  int t[16];
  for (int i = 0; i < 4; i++) {
    int a = in[i] + in[12 + i], b = in[4 + i] + in[8 + i], c = in[4 + i] - in[8 + i], e = in[i] - in[12 + i];
    t[i] = a + b;
    t[4 + i] = c + e;
    t[8 + i] = a - b;
    t[12 + i] = e - c;
  }
  for (int i = 0; i < 4; i++) {
    const int *p = t + i * 4;
    int a = p[0] + p[3], b = p[1] + p[2], c = p[1] - p[2], e = p[0] - p[3];
    out[i * 4] = (int16_t)((a + b + 3) >> 3);
    out[i * 4 + 1] = (int16_t)((c + e + 3) >> 3);
    out[i * 4 + 2] = (int16_t)((a - b + 3) >> 3);
    out[i * 4 + 3] = (int16_t)((e - c + 3) >> 3);
  }
}

#endif
