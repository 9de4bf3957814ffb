#pragma once

#include "modalities/head.h"

namespace veomni {
std::unique_ptr<Head> make_classification(const PartConfig& config, BuildContext& context);
std::unique_ptr<Head> make_binary(const PartConfig& config, BuildContext& context);
std::unique_ptr<Head> make_regression(const PartConfig& config, BuildContext& context);
std::unique_ptr<Head> make_revenue(const PartConfig& config, BuildContext& context);
}  // namespace veomni
