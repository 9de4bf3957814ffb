#include "core/train/generate.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/recipe/recipe.h"
#include "core/train/batch.h"
#include "core/train/model.h"

namespace veomni {
namespace {

Batch context_batch(const std::vector<int64_t>& ids, int64_t context) {
  const auto all = static_cast<int64_t>(ids.size());
  const int64_t length = context > 0 ? std::min(all, context) : all;
  Batch batch;
  batch.ids = at::tensor(std::vector<int64_t>(ids.end() - length, ids.end()), at::kLong);
  batch.positions = at::arange(length, at::kLong);
  batch.cu_seqlens = at::tensor({int64_t{0}, length}, at::kInt);
  batch.noise_keys = at::zeros({length}, at::kLong);
  return batch;
}

int64_t draw(at::Tensor logits, const GenerateSettings& settings, at::Generator& generator) {
  if (settings.temperature == 0) return logits.argmax().item<int64_t>();
  logits = logits.to(at::kDouble) / settings.temperature;
  if (settings.top_k > 0 && settings.top_k < logits.size(0)) {
    const auto least = std::get<0>(logits.topk(settings.top_k))[settings.top_k - 1];
    logits = logits.masked_fill(logits < least, -std::numeric_limits<double>::infinity());
  }
  return logits.softmax(-1).multinomial(1, false, generator).item<int64_t>();
}

}  // namespace

std::string generate_text(Model& model, const Tokenizer& tokenizer, const std::string& prompt,
                          const GenerateSettings& settings,
                          const std::function<void(const std::string&)>& piece) {
  at::NoGradGuard no_gradient;
  auto ids = special_tokens_around(tokenizer).before;
  const auto text = tokenizer.encode(prompt);
  require<ConfigError>(!text.empty(), "generate: the prompt is empty; give at least one character");
  ids.insert(ids.end(), text.begin(), text.end());
  auto generator = at::make_generator<at::CPUGeneratorImpl>(settings.seed);
  const auto start = ids.size();
  size_t shown = 0;
  for (int64_t i = 0; i < settings.tokens; ++i) {
    auto logits = model.next_token_logits(context_batch(ids, settings.context)).cpu();
    ids.push_back(draw(logits.narrow(0, 0, tokenizer.vocab_size()), settings, generator));
    if (!piece) continue;
    const auto made = tokenizer.decode({ids.begin() + static_cast<int64_t>(start), ids.end()});
    // Bytes of an unfinished UTF-8 character wait for their last one.
    if (!made.empty() && (static_cast<unsigned char>(made.back()) & 0x80) != 0 &&
        i + 1 < settings.tokens)
      continue;
    piece(made.substr(shown));
    shown = made.size();
  }
  return tokenizer.decode({ids.begin() + static_cast<int64_t>(start), ids.end()});
}

int64_t text_context(const Recipe& recipe) {
  int64_t context = 0;
  for (const auto& source : recipe.sources)
    context = std::max(context, source.keys.value("sample_tokens", int64_t{0}));
  return context;
}

}  // namespace veomni
