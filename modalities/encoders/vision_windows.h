#pragma once
// In which order Qwen2.5-VL's vision encoder works on patches. B blocks of merge² patches, P patches

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace veomni {

struct VisionWindows {
  at::Tensor order;      ///< [B] i64: the block at each place, window by window
  at::Tensor inverse;    ///< [B] i64: the place of each block
  at::Tensor windows;    ///< [windows + 1] i32, patches: where each window begins
  at::Tensor frames;     ///< [frames + 1] i32, patches: where each frame of each image begins
  at::Tensor positions;  ///< [3, P] i64 in that order: row, column and 0
};

/// grids [images, 3] i64 on the host: frames, rows and columns of patches (multiples of `merge`); `window`: blocks a
/// side. Windows start at the image's corner and are cut at its right and bottom border (Bai et al. 2025,
/// arXiv:2502.13923, section 2.1.1). Everything on the host.
VisionWindows vision_windows(const at::Tensor& grids, int64_t merge, int64_t window);

}  // namespace veomni
