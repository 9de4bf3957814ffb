// The heads that ship: labels they take, columns they predict, metrics they report.
#include <fmt/format.h>

#include <cmath>

#include "modalities/heads/head_spec.h"
#include "modalities/specs.h"

namespace veomni {
namespace {

PartSpec head(const std::string& type, const std::string& doc, int64_t columns) {
  PartSpec spec;
  spec.type = type;
  spec.doc = doc;
  spec.keys = {head_hidden_size_key()};
  spec.describe = [columns](const PartConfig& config, const BaseSizes& sizes) {
    return std::vector<UnitSpec>{describe_head(config, sizes, columns)};
  };
  return spec;
}

using Problem = std::optional<std::string>;

}  // namespace

PartSpec classification_spec() {
  auto spec = head("classification", "one of several classes: softmax and cross-entropy", 0);
  spec.keys.push_back({.name = "classes",
                       .type = Key::Type::integer,
                       .doc = "number of classes; labels are 0 … classes-1",
                       .required = true,
                       .minimum = 2,
                       .maximum = 1e6});
  spec.describe = [](const PartConfig& config, const BaseSizes& sizes) {
    return std::vector<UnitSpec>{
        describe_head(config, sizes, config.keys.at("classes").get<int64_t>())};
  };
  spec.label_error = [](const PartConfig& config, double label) -> Problem {
    const auto classes = config.keys.at("classes").get<double>();
    if (label >= 0 && label < classes && label == std::floor(label)) return {};
    return fmt::format("label {} is not a class; it must be a whole number from 0 to {}", label,
                       classes - 1);
  };
  spec.metrics = {"loss", "accuracy"};
  return spec;
}

PartSpec binary_spec() {
  auto spec = head(
      "binary", "yes or no (click, visit, conversion); with `given`, through its parent (ESMM)", 1);
  spec.label_error = [](const PartConfig&, double label) -> Problem {
    if (label == 0 || label == 1) return {};
    return fmt::format("label {} is neither 0 nor 1; name the positive cells with \"positive\"",
                       label);
  };
  spec.metrics = {"loss", "log_loss", "auc", "accuracy", "calibration"};
  return spec;
}

PartSpec regression_spec() {
  auto spec = head("regression", "a real number (dwell time, rating): squared error", 1);
  spec.keys.push_back(
      {.name = "transform",
       .type = Key::Type::string,
       .doc = "log1p: the head predicts log(1 + label); metrics are of the label itself",
       .default_value = "none",
       .choices = {"none", "log1p"}});
  spec.label_error = [](const PartConfig& config, double label) -> Problem {
    if (config.keys.at("transform") != "log1p" || label > -1) return {};
    return fmt::format("label {} has no log(1 + label); it must be greater than -1", label);
  };
  spec.metrics = {"loss", "rmse", "mae"};
  return spec;
}

PartSpec revenue_spec() {
  auto spec =
      head("revenue", "zero or a positive amount (spend, GMV): zero-inflated log-normal", 3);
  spec.label_error = [](const PartConfig&, double label) -> Problem {
    if (label >= 0) return {};
    return fmt::format("label {} is negative; an amount must be 0 or more", label);
  };
  spec.metrics = {"loss", "auc", "rmse", "calibration"};
  return spec;
}

}  // namespace veomni
