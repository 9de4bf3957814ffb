#pragma once
// Metrics of predictions. No tensors: spans of doubles.

#include <cstdint>
#include <optional>
#include <vector>

namespace veomni {

/// One target's prediction in evaluation.
struct Prediction {
  double score = 0;  ///< probability, predicted value, or (classification) predicted class
  double label = 0;
  double weight = 1;
  double group = 0;  ///< hash of the group's text; 0: none
};

/// Area under the ROC curve, weighted, ties counted half (Mann-Whitney). Nothing when only one class is present.
std::optional<double> auc(const std::vector<Prediction>& predictions, double positive_above = 0.5);

/// AUC of each group that has both classes, averaged by the group's weight (Zhu et al. 2017). Nothing without such a group.
std::optional<double> grouped_auc(const std::vector<Prediction>& predictions);

double accuracy_of_classes(const std::vector<Prediction>& predictions);
double accuracy_at_half(const std::vector<Prediction>& predictions);
double log_loss(
    const std::vector<Prediction>& predictions);  ///< natural log, probabilities clipped at 1e-12
double rmse(const std::vector<Prediction>& predictions);
double mae(const std::vector<Prediction>& predictions);
/// Σ score / Σ label: 1 when the average prediction is right. Nothing when the labels sum to 0.
std::optional<double> calibration(const std::vector<Prediction>& predictions);

}  // namespace veomni
