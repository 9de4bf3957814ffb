#pragma once
// The table's functions, one file a topic; see kernels/cuda_table.h.

#include "kernels/cuda_table.h"

namespace veomni::cuda {

const char* error_text(int code);
int device_count(int* count);
int device_info(int device, VeomniDeviceInfo* info);
int rms_norm(const VeomniRmsNorm*, void* stream);
int rms_norm_backward(const VeomniRmsNormBackward*, void* stream);
int swiglu(const VeomniSwiglu*, void* stream);
int swiglu_backward(const VeomniSwiglu*, void* stream);
int cross_entropy(const VeomniCrossEntropy*, void* stream);
int adamw(const VeomniAdamW*, void* stream);
int sum_of_squares(const VeomniSumOfSquares*, void* stream);
int rope(const VeomniRope*, void* stream);
int rope_backward(const VeomniRope*, void* stream);
int attention(const VeomniAttention*, void* stream);
int attention_backward(const VeomniAttention*, void* stream);
int moe_sort(const VeomniMoeSort*, void* stream);
int moe_gather(const VeomniMoe*, void* stream);
int moe_combine(const VeomniMoe*, void* stream);
int moe_combine_backward(const VeomniMoe*, void* stream);
int embedding(const VeomniEmbedding*, void* stream);
int embedding_backward(const VeomniEmbedding*, void* stream);

}  // namespace veomni::cuda
