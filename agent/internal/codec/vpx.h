/* A narrow door to libvpx: one VP8 encoder that is told the quantizer of each picture and
 * refers to nothing but the picture before. */
#ifndef HANDRAIL_VPX_H
#define HANDRAIL_VPX_H

#include <stddef.h>
#include <stdint.h>

typedef struct hr_vpx hr_vpx;

/* What an encoder gave: data stays valid until its next call, err is NULL or says what failed. */
typedef struct {
  const uint8_t *data;
  size_t size;
  const char *err;
} hr_result;

/* hr_vpx_open returns NULL and sets *err when libvpx refuses. */
hr_vpx *hr_vpx_open(int width, int height, int threads, const char **err);

/* hr_vpx_encode encodes a picture with the quantizer q (0..63, libvpx's scale). active is
 * one byte for each macroblock, or NULL for all. */
hr_result hr_vpx_encode(hr_vpx *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                        int stride_uv, int q, int key, uint8_t *active);

/* hr_vpx_get_last copies the picture a decoder now has, hr_vpx_set_last replaces it: planes
 * of whole macroblocks. They return 0 when done. */
int hr_vpx_get_last(hr_vpx *e, uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv);
int hr_vpx_set_last(hr_vpx *e, uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv);

void hr_vpx_close(hr_vpx *e);

#endif
