/* VP8 pictures of what changed, written between libvpx's: for a change that is small, or a
 * scroll, they cost a fraction of the time and the bytes. See docs/decisions for why.
 *
 * A delta picture says, block by block (16x16): as before; as before but moved up or down
 * (a scroll); or coded. It refers to the last picture only, filters nothing, and leaves no
 * probabilities behind, so it may follow and precede any picture of libvpx's that was made
 * under the same rules. */
#ifndef HANDRAIL_DELTA_H
#define HANDRAIL_DELTA_H

#include "vpx.h"

typedef struct hr_delta hr_delta;

/* A picture to be encoded: planes of width x height pixels and their strides. */
typedef struct {
  const uint8_t *y, *u, *v;
  int stride_y, stride_uv;
} hr_frame;

hr_delta *hr_delta_open(int width, int height);
void hr_delta_close(hr_delta *d);

/* hr_delta_compare drops from map the blocks that are as they were, and returns how many
 * are left. map is one byte for each block, row by row. */
int hr_delta_compare(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                     int stride_uv, uint8_t *map);

/* hr_delta_scroll looks for a vertical movement in the blocks of map (after compare) and sets
 * those that merely moved to 2. It returns how many remain at 1. */
int hr_delta_scroll(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                    int stride_uv, uint8_t *map);

/* hr_delta_busy counts the blocks of a picture that are not of one brightness: what a key
 * picture costs. */
int hr_delta_busy(hr_delta *d, const uint8_t *y, int stride);

/* hr_delta_take keeps the blocks of map as the picture last encoded; hr_delta_take with
 * map NULL keeps all. Called once for each picture, before it is encoded either way. */
void hr_delta_take(hr_delta *d, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y, int stride_uv,
                   const uint8_t *map);

/* hr_delta_encode encodes the blocks of map: 2 moved, 1 coded with quantizer q (0..127). */
hr_result hr_delta_encode(hr_delta *d, const uint8_t *map, int q);

/* hr_delta_blurred marks in map up to limit blocks coded coarser than q, beginning after
 * those of the last call, and returns how many there are in all. */
int hr_delta_blurred(hr_delta *d, int q, uint8_t *map, int limit);

/* hr_delta_from_vpx and hr_delta_to_vpx carry the picture that decoders have over: after
 * libvpx coded the blocks of map (NULL: all) with quantizer q, and before it codes. They
 * return 0 when done. */
int hr_delta_from_vpx(hr_delta *d, hr_vpx *e, const uint8_t *map, int q);
int hr_delta_to_vpx(hr_delta *d, hr_vpx *e);

#endif
