// Precompiled for every file that includes LibTorch. ivalue.h has to come first.
#pragma once
// clang-format off
#include <ATen/core/ivalue.h>
#include <torch/types.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/engine.h>
#include <ATen/Parallel.h>
#include <c10/core/AutogradState.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <map>
#include <string>
#include <vector>
