// The heads' mathematics. n targets
#include "modalities/heads/heads.h"

#include <ATen/ATen.h>

#include "modalities/heads/head_spec.h"

namespace veomni {
namespace {

/// What heads share: an optional SiLU layer, then the output layer, in f32.
class DenseHead : public Head {
 public:
  DenseHead(const PartConfig& config, BuildContext& context, int64_t columns)
      : deep_(config.keys.at("hidden_size").get<int64_t>() > 0),
        unit_("heads." + config.name, describe_head(config, context.sizes, columns).parameters,
              context.parallel) {}

  Unit& unit() override { return unit_; }

  at::Tensor lm_head(const UnitUse& weights, const at::Tensor& hidden) override {
    const size_t output = deep_ ? 2 : 0;
    const auto x = deep_ ? at::silu(at::linear(hidden, weights[0], weights[1])) : hidden;
    return at::linear(x, weights[output], weights[output + 1]).to(at::kFloat);
  }

 private:
  bool deep_;
  Unit unit_;
};

class Classification : public DenseHead {
 public:
  Classification(const PartConfig& config, BuildContext& context)
      : DenseHead(config, context, config.keys.at("classes").get<int64_t>()) {}

  at::Tensor losses(const at::Tensor& raw, const at::Tensor& labels, const at::Tensor&) override {
    return -raw.log_softmax(-1).gather(1, labels.to(at::kLong).unsqueeze(1)).squeeze(1);
  }
  at::Tensor scores(const at::Tensor& raw, const at::Tensor&) override { return raw.softmax(-1); }
};

/// log p and log(1 − p) for p = sigmoid(raw), times the parent's p when there is one: ESMM trains the conversion rate on
/// every impression through p(click) · p(conversion | click) (Ma et al. 2018, arXiv:1804.07931).
struct LogOdds {
  at::Tensor yes, no;
};

LogOdds log_odds(const at::Tensor& raw, const at::Tensor& parent) {
  const auto logit = raw.squeeze(1);
  if (!parent.defined()) return {at::log_sigmoid(logit), at::log_sigmoid(-logit)};
  const auto yes = at::log_sigmoid(logit) + at::log_sigmoid(parent.squeeze(1));
  // 1 − p underflows only where p rounds to 1: the clamp keeps log(1 − p) and its gradient finite there.
  return {yes, at::log(-at::expm1(yes.clamp_max(-1e-7)))};
}

class Binary : public DenseHead {
 public:
  Binary(const PartConfig& config, BuildContext& context) : DenseHead(config, context, 1) {}

  at::Tensor losses(const at::Tensor& raw, const at::Tensor& labels,
                    const at::Tensor& parent) override {
    const auto odds = log_odds(raw, parent);
    return -(labels * odds.yes + (1 - labels) * odds.no);
  }
  at::Tensor scores(const at::Tensor& raw, const at::Tensor& parent) override {
    return log_odds(raw, parent).yes.exp().unsqueeze(1);
  }
};

class Regression : public DenseHead {
 public:
  Regression(const PartConfig& config, BuildContext& context)
      : DenseHead(config, context, 1), log1p_(config.keys.at("transform") == "log1p") {}

  at::Tensor losses(const at::Tensor& raw, const at::Tensor& labels, const at::Tensor&) override {
    return (raw.squeeze(1) - (log1p_ ? labels.log1p() : labels)).square();
  }
  at::Tensor scores(const at::Tensor& raw, const at::Tensor&) override {
    return log1p_ ? raw.expm1() : raw;
  }

 private:
  bool log1p_;
};

/// Zero-inflated log-normal (Wang, Liu & Miao 2019, arXiv:1912.07753): raw = [logit of being positive, μ, σ before
/// softplus]; the loss is the negative log-likelihood, the prediction p · exp(μ + σ²/2).
class Revenue : public DenseHead {
 public:
  Revenue(const PartConfig& config, BuildContext& context) : DenseHead(config, context, 3) {}

  at::Tensor losses(const at::Tensor& raw, const at::Tensor& labels, const at::Tensor&) override {
    const auto positive = (labels > 0).to(at::kFloat);
    const auto logit = raw.select(1, 0);
    const auto pays =
        -(positive * at::log_sigmoid(logit) + (1 - positive) * at::log_sigmoid(-logit));
    const auto log_amount = labels.clamp_min(1e-6).log();
    const auto z = (log_amount - raw.select(1, 1)) / sigma(raw);
    constexpr double kHalfLogTwoPi = 0.91893853320467274178;
    const auto amount = 0.5 * z.square() + sigma(raw).log() + log_amount + kHalfLogTwoPi;
    return pays + positive * amount;
  }
  at::Tensor scores(const at::Tensor& raw, const at::Tensor&) override {
    const auto mean = raw.select(1, 1) + 0.5 * sigma(raw).square();
    // An untrained tail could overflow to infinity and spoil every average: e^40 is beyond any amount.
    return (raw.select(1, 0).sigmoid() * mean.clamp_max(40).exp()).unsqueeze(1);
  }

 private:
  static at::Tensor sigma(const at::Tensor& raw) { return at::softplus(raw.select(1, 2)) + 1e-3; }
};

}  // namespace

std::unique_ptr<Head> make_classification(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Classification>(config, context);
}
std::unique_ptr<Head> make_binary(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Binary>(config, context);
}
std::unique_ptr<Head> make_regression(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Regression>(config, context);
}
std::unique_ptr<Head> make_revenue(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Revenue>(config, context);
}

}  // namespace veomni
