/* Reading a pack that may be damaged: nothing in it is trusted before it is checked. */
#include <string.h>

#include "inspect.h"
#include "dispatch.h"
#include "geometry.h"
#include "isa.h"

const struct pack *pack_of(const void *blob, int64_t bytes, const char *isa) {
  const struct pack *pack = blob;
  if (!pack || (uintptr_t)blob % ALIGNMENT || bytes < (int64_t)sizeof *pack) return NULL;
  int ours = pack->magic == PACK_MAGIC && pack->abi == SECATEUR_ABI && pack->bytes <= bytes &&
             memchr(pack->isa, 0, sizeof pack->isa) && !strcmp(pack->isa, isa);
  return ours ? pack : NULL;
}

/* A header that the rest can trust: what follows from other fields does, the rest is in range. */
static int header_fits(const struct pack *pack, const struct isa *isa) {
  secateur_layer layer = {pack->kind, pack->in_layout, pack->out_layout, pack->algorithm,
                          1,          pack->shape};
  const secateur_shape *s = &pack->shape;
  struct axis h, w;
  if (!layer_fits(&layer) || pack->algorithm == SECATEUR_AUTO ||
      !axis_of(&h, s->kernel_height, s->dilation_height, s->stride_height) ||
      !axis_of(&w, s->kernel_width, s->dilation_width, s->stride_width) ||
      memcmp(&h, &pack->h, sizeof h) || memcmp(&w, &pack->w, sizeof w))
    return 0;
  int by_lane = pack->algorithm == SECATEUR_BY_LANE;
  int width_fits = by_lane ? pack->width >= isa->lanes && pack->width % isa->lanes == 0 &&
                                 pack->width <= MAX_UNIT_VECTORS * isa->lanes
                           : pack->width == 1;
  if (!width_fits || pack->blocks < 1 || pack->block_channels < 1 ||
      pack->blocks != ceil_div(s->in_channels, pack->block_channels) || pack->groups < 1 ||
      pack->groups > MAX_GROUPS || pack->stored < 0 || pack->nonzeros > pack->stored ||
      pack->stored > (int64_t)1 << 40 || (pack->index_bits != 16 && pack->index_bits != 32))
    return 0;
  if (pack->kind == SECATEUR_CONV2D || by_lane) {
    int64_t plane =
        (int64_t)(pack->block_rows + h.reach) * pack->row_width * pack->width * h.phases * w.phases;
    if (pack->block_rows < 1 || pack->block_rows > s->out_height || pack->strip_rows < 1 ||
        pack->strip_rows > pack->block_rows || pack->row_width != s->out_width + w.reach ||
        pack->plane != plane)
      return 0;
  }
  struct pack placed = *pack;
  place_arrays(&placed);
  return !memcmp(&placed, pack, sizeof placed);
}

static int arrays_fit(const struct pack *pack) {
  int64_t channels = pack->shape.out_channels, rows = pack->blocks * channels;
  const int32_t *group = pack_at(pack, pack->group), *order = pack_at(pack, pack->order);
  const int64_t *indptr = pack_at(pack, pack->indptr);
  if (group[0] != 0 || group[pack->groups] != channels) return 0;
  for (int32_t g = 0; g < pack->groups; g++)
    if (group[g] > group[g + 1]) return 0;
  for (int64_t block = 0; block < pack->blocks; block++)
    for (int32_t g = 0; g < pack->groups; g++)
      for (int32_t i = group[g]; i < group[g + 1]; i++) {
        int32_t channel = order[block * channels + i];
        if (channel < group[g] || channel >= group[g + 1]) return 0;
      }
  if (indptr[0] != 0 || indptr[rows] != pack->stored) return 0;
  for (int64_t row = 0; row < rows; row++)
    if (indptr[row] > indptr[row + 1]) return 0;
  return 1;
}

static int indices_fit(const struct pack *pack) {
  const secateur_shape *s = &pack->shape;
  int dot = pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE;
  const int64_t *indptr = pack_at(pack, pack->indptr);
  int64_t last_tap = dot ? 0 : index_of(pack, 0, s->kernel_height - 1, s->kernel_width - 1);
  for (int32_t i = 0; !dot && i < s->kernel_height; i++)
    for (int32_t j = 0; j < s->kernel_width; j++) last_tap = max(last_tap, index_of(pack, 0, i, j));
  for (int64_t block = 0; block < pack->blocks; block++) {
    int64_t channels =
        min(pack->block_channels, s->in_channels - block * (int64_t)pack->block_channels);
    int64_t limit = dot ? s->in_channels - 1 : (channels - 1) * pack->plane + last_tap;
    int64_t first = indptr[block * s->out_channels], last = indptr[(block + 1) * s->out_channels];
    for (int64_t i = first; i < last; i++) {
      int64_t index = pack->index_bits == 16 ? ((const uint16_t *)pack_at(pack, pack->indices))[i]
                                             : ((const uint32_t *)pack_at(pack, pack->indices))[i];
      if (index > limit) return 0;
    }
  }
  return 1;
}

int32_t secateur_inspect(const void *blob, int64_t blob_bytes, secateur_pack_info *info) {
  const struct pack *pack = pack_of(blob, blob_bytes, current_isa()->name);
  if (!pack) return SECATEUR_BAD_PACK;
  if (!info) return SECATEUR_BAD_ARGUMENT;
  if (!header_fits(pack, current_isa()) || !arrays_fit(pack) || !indices_fit(pack))
    return SECATEUR_BAD_PACK;
  *info = (secateur_pack_info){
      .kind = pack->kind,
      .in_layout = pack->in_layout,
      .out_layout = pack->out_layout,
      .algorithm = pack->algorithm,
      .index_bits = pack->index_bits,
      .tile = pack->tile,
      .nonzeros = pack->nonzeros,
      .stored = pack->stored,
      .shape = pack->shape,
  };
  return SECATEUR_OK;
}
