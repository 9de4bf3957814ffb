#include "test/cuda/support.h"

namespace veomni::test {
namespace {

struct Reference {
  Doubles losses, gradient;
  std::vector<uint8_t> correct;
};

Reference reference(const Doubles& logits, const std::vector<int64_t>& labels,
                    const Doubles& weights, double scale) {
  const size_t tokens = labels.size(), vocabulary = logits.size() / tokens;
  Reference want{Doubles(tokens), Doubles(logits.size()), std::vector<uint8_t>(tokens)};
  for (size_t t = 0; t < tokens; ++t) {
    const double* row = &logits[t * vocabulary];
    if (labels[t] == -100) continue;
    const size_t label = static_cast<size_t>(labels[t]);
    double sum = 0;
    for (size_t v = 0; v < vocabulary; ++v) sum += std::exp(row[v]);
    want.losses[t] = std::log(sum) - row[label];
    want.correct[t] = std::max_element(row, row + vocabulary) - row == labels[t];
    for (size_t v = 0; v < vocabulary; ++v) {
      want.gradient[t * vocabulary + v] =
          scale * weights[t] * (std::exp(row[v]) / sum - (v == label ? 1 : 0));
    }
  }
  return want;
}

}  // namespace

TEST_CASE("cuda cross-entropy: loss, gradient in place, first of equal maxima, ignored labels",
          "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const size_t vocabulary = GENERATE(2u, 33u, 1000u);
  const size_t tokens = 9;
  Doubles logits = draw(precision.scalar, tokens * vocabulary, 1, 3);
  std::vector<int64_t> labels(tokens);
  for (size_t t = 0; t < tokens; ++t) labels[t] = static_cast<int64_t>(t * 7 % vocabulary);
  labels[4] = -100;
  logits[0] = logits[1] = 20;  // a tie: label 0 is right in row 0; in row 1 label 1 comes second
  logits[vocabulary] = logits[vocabulary + 1] = 20, labels[1] = 1;
  const Doubles weights = draw(kVeomniF32, tokens, 2);
  const Reference want = reference(logits, labels, weights, 0.5);

  const Scalars logits_d(precision.scalar, logits);
  const Device<int64_t> labels_d(labels);
  const Device<float> weights_d(std::vector<float>(weights.begin(), weights.end())), losses(tokens);
  const Device<uint8_t> correct(tokens);
  const Device<int32_t> bad(std::vector<int32_t>{0});
  VeomniCrossEntropy args{logits_d.get(),
                          labels_d.get(),
                          weights_d.get(),
                          losses.get(),
                          correct.get(),
                          bad.get(),
                          static_cast<int64_t>(tokens),
                          static_cast<int64_t>(vocabulary),
                          0.5f,
                          0,
                          precision.scalar};
  check_call(table().cross_entropy(&args, nullptr));
  CHECK(logits_d.host() == logits);  // no gradient asked for
  args.gradient = 1;
  check_call(table().cross_entropy(&args, nullptr));
  check_close(doubles(losses.host()), want.losses, 2e-6);
  check_close(logits_d.host(), want.gradient, precision.tolerance);
  CHECK(correct.host() == want.correct);
  CHECK(want.correct[0] == 1);
  CHECK(want.correct[1] == 0);
  CHECK(bad.host()[0] == 0);
}

TEST_CASE("cuda cross-entropy: a label past the vocabulary is told, without weights and flags",
          "[cuda][gpu]") {
  const int64_t label = GENERATE(5, -1, 1 << 30);
  const Scalars logits(kVeomniF32, Doubles(10, 1.0));
  const Device<int64_t> labels(std::vector<int64_t>{1, label});
  const Device<float> losses(2);
  const Device<int32_t> bad(std::vector<int32_t>{0});
  const VeomniCrossEntropy args{
      logits.get(), labels.get(), nullptr, losses.get(), nullptr, bad.get(), 2, 5, 1.0f, 1,
      kVeomniF32};
  check_call(table().cross_entropy(&args, nullptr));
  CHECK(bad.host()[0] == 1);
  CHECK(losses.host()[0] == Approx(std::log(5.0)));
}

}  // namespace veomni::test
