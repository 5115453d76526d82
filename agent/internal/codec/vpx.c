//go:build cgo

#include "vpx.h"

#include <stdlib.h>
#include <string.h>
#include <vpx/vp8.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

struct hr_vpx {
  vpx_codec_ctx_t ctx;
  vpx_codec_enc_cfg_t cfg;
  vpx_image_t img;
  vpx_codec_pts_t pts;
  int opened;
  int q;
  int mb_cols, mb_rows;
  int mapped; /* an active map is set */
};

static const char *why(hr_vpx *e) {
  const char *d = vpx_codec_error_detail(&e->ctx);
  return d ? d : vpx_codec_error(&e->ctx);
}

hr_vpx *hr_vpx_open(int width, int height, int threads, const char **err) {
  hr_vpx *e = calloc(1, sizeof *e);
  if (!e) {
    *err = "no memory";
    return NULL;
  }
  e->q = -1;
  e->mb_cols = (width + 15) / 16;
  e->mb_rows = (height + 15) / 16;
  vpx_codec_err_t rc = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &e->cfg, 0);
  if (rc) {
    *err = vpx_codec_err_to_string(rc);
    free(e);
    return NULL;
  }
  vpx_codec_enc_cfg_t *c = &e->cfg;
  c->g_w = width;
  c->g_h = height;
  c->g_timebase.num = 1;
  c->g_timebase.den = 1000;
  c->g_threads = threads;
  c->g_lag_in_frames = 0;
  c->g_error_resilient = 0;
  c->g_pass = VPX_RC_ONE_PASS;
  c->rc_end_usage = VPX_CBR;
  /* The quantizer of every picture is set from outside (rate.go), so libvpx's own rate
   * control is given more than it can use. */
  c->rc_target_bitrate = 1000000;
  c->rc_dropframe_thresh = 0;
  c->rc_resize_allowed = 0;
  c->rc_min_quantizer = 10;
  c->rc_max_quantizer = 10;
  c->rc_undershoot_pct = 100;
  c->rc_overshoot_pct = 100;
  c->kf_mode = VPX_KF_DISABLED;
  rc = vpx_codec_enc_init(&e->ctx, vpx_codec_vp8_cx(), c, 0);
  if (rc) {
    *err = vpx_codec_err_to_string(rc);
    free(e);
    return NULL;
  }
  e->opened = 1;
  vpx_codec_control(&e->ctx, VP8E_SET_CPUUSED, -12);
  vpx_codec_control(&e->ctx, VP8E_SET_SCREEN_CONTENT_MODE, 1);
  vpx_codec_control(&e->ctx, VP8E_SET_STATIC_THRESHOLD, 1);
  vpx_codec_control(&e->ctx, VP8E_SET_NOISE_SENSITIVITY, 0);
  vpx_codec_control(&e->ctx, VP8E_SET_ENABLEAUTOALTREF, 0);
  vpx_codec_control(&e->ctx, VP8E_SET_TOKEN_PARTITIONS, 0);
  return e;
}

static void wrap(vpx_image_t *img, int w, int h, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                 int stride_y, int stride_uv) {
  memset(img, 0, sizeof *img);
  vpx_img_wrap(img, VPX_IMG_FMT_I420, w, h, 1, (unsigned char *)y);
  img->planes[VPX_PLANE_Y] = (unsigned char *)y;
  img->planes[VPX_PLANE_U] = (unsigned char *)u;
  img->planes[VPX_PLANE_V] = (unsigned char *)v;
  img->stride[VPX_PLANE_Y] = stride_y;
  img->stride[VPX_PLANE_U] = img->stride[VPX_PLANE_V] = stride_uv;
}

static hr_result fail(const char *err) {
  hr_result r = {NULL, 0, err};
  return r;
}

hr_result hr_vpx_encode(hr_vpx *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y,
                        int stride_uv, int q, int key, uint8_t *active) {
  if (q != e->q) {
    e->cfg.rc_min_quantizer = e->cfg.rc_max_quantizer = q;
    if (vpx_codec_enc_config_set(&e->ctx, &e->cfg)) return fail(why(e));
    e->q = q;
  }
  if (active || e->mapped) {
    vpx_active_map_t map = {active, e->mb_rows, e->mb_cols};
    if (vpx_codec_control(&e->ctx, VP8E_SET_ACTIVEMAP, &map)) return fail(why(e));
    e->mapped = active != NULL;
  }
  wrap(&e->img, e->cfg.g_w, e->cfg.g_h, y, u, v, stride_y, stride_uv);
  /* Only the last picture is referred to, and no probabilities outlive a picture: then the
   * pictures that delta.c writes may stand between libvpx's. */
  vpx_enc_frame_flags_t flags = VP8_EFLAG_NO_UPD_ENTROPY;
  flags |= key ? VPX_EFLAG_FORCE_KF
               : VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF;
  if (vpx_codec_encode(&e->ctx, &e->img, e->pts++, 1, flags, VPX_DL_REALTIME)) return fail(why(e));
  hr_result r = fail("libvpx gave no picture");
  vpx_codec_iter_t iter = NULL;
  const vpx_codec_cx_pkt_t *pkt;
  while ((pkt = vpx_codec_get_cx_data(&e->ctx, &iter))) {
    if (pkt->kind == VPX_CODEC_CX_FRAME_PKT) {
      r.data = pkt->data.frame.buf;
      r.size = pkt->data.frame.sz;
      r.err = NULL;
    }
  }
  return r;
}

static int reference(hr_vpx *e, int control, uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv) {
  vpx_ref_frame_t ref;
  ref.frame_type = VP8_LAST_FRAME;
  wrap(&ref.img, e->mb_cols * 16, e->mb_rows * 16, y, u, v, stride_y, stride_uv);
  return control == VP8_SET_REFERENCE ? vpx_codec_control(&e->ctx, VP8_SET_REFERENCE, &ref)
                                      : vpx_codec_control(&e->ctx, VP8_COPY_REFERENCE, &ref);
}

int hr_vpx_get_last(hr_vpx *e, uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv) {
  return reference(e, VP8_COPY_REFERENCE, y, u, v, stride_y, stride_uv);
}

int hr_vpx_set_last(hr_vpx *e, uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv) {
  return reference(e, VP8_SET_REFERENCE, y, u, v, stride_y, stride_uv);
}

void hr_vpx_close(hr_vpx *e) {
  if (!e) return;
  if (e->opened) vpx_codec_destroy(&e->ctx);
  free(e);
}
