#pragma once
// The image encoder's input, prepared on the host: pixels to normalised patches. No LibTorch.

#include <memory>
#include <vector>

#include "core/data/preprocessor.h"
#include "modalities/encoders/image_choices_spec.h"

namespace veomni {

/// Keys of the recipe that the preprocessing reads; the encoder's spec adds its own.
///   patch_size   side of a square patch in pixels
///   channels     1 | 3; colour becomes grey by ITU-R BT.601 weights, grey becomes three equal
///                channels
///   image_size   [height, width] or null; given: every image is resized to it (antialiased)
///   resample     bilinear | bicubic: how images are resized; bicubic is Pillow's, as Hugging Face's
///                image processors use it
///   max_patches  an image with more patches is made smaller, keeping its aspect
///   mean, std    a number or one a channel, on the 0..1 scale
///   tokens       patches: one token a patch | pooled: one token an image
///   augment      none | flip (left-right, half of the time) | shift (by up to a 14th of each side,
///                zeros move in) | flip_shift; in training only, decided by the sample's seed
/// Sides that are no multiple of patch_size are filled up with zeros (after normalisation) at the
/// right and the bottom.
Keys image_preprocess_keys();

/// Cross-checks of those keys; throws ConfigError that starts with `where`.
void check_image_preprocess(const PartConfig& config, const std::string& where);

/// Field: one image, or a list of images of any sizes. Arrays:
///   [0] patches  f32 [P, channels · patch_size²]; inside a patch channel, row, column; patches row
///                by row; image after image
///   [1] grid     i64 [images, 2], rows and columns of patches
/// token_count: P, or the number of images when pooled.
std::unique_ptr<Preprocessor> make_image_preprocessor(const PartConfig& config);
std::unique_ptr<Preprocessor> make_image_preprocessor(ImageSettings settings);

}  // namespace veomni
