#include "core/train/generate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "core/communicator.h"
#include "core/generate/generated_text.h"
#include "core/generate/sampler.h"
#include "core/recipe/family.h"
#include "core/recipe/recipe.h"
#include "core/train/batch.h"
#include "core/train/key_value_cache.h"
#include "core/train/model.h"

namespace veomni {
namespace {

constexpr int64_t kPrefillTokens = 8192;  // of one forward, unless a single text has more

/// A text being written, in the slot of its index.
struct Row {
  size_t prompt = 0;
  std::vector<int64_t> ids;  // prompt and new tokens
  size_t prompt_tokens = 0;
  size_t first = 0;  // of ids, the first that the cache holds
  std::optional<GeneratedText> stream;
  Generated made;
};

at::Tensor host_ids(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

class Writer {
 public:
  Writer(const GenerationInput& input, const std::vector<std::vector<int64_t>>& prompts,
         const GenerationEvents& events)
      : input_(input),
        settings_(input.settings),
        prompts_(prompts),
        events_(events),
        sampler_(input.settings),
        rows_(std::min<size_t>(prompts.size(), static_cast<size_t>(settings_.batch_size))),
        cache_(static_cast<int64_t>(rows_.size()), longest()),
        results_(prompts.size()) {}

  std::vector<Generated> run() {
    for (;;) {
      for (size_t slot = 0; slot < rows_.size(); ++slot) prepare(slot);
      std::vector<int64_t> fresh, going;
      for (size_t slot = 0; slot < rows_.size(); ++slot)
        if (rows_[slot])
          (cache_.lengths[slot] == 0 ? fresh : going).push_back(static_cast<int64_t>(slot));
      if (fresh.empty() && going.empty()) return std::move(results_);
      read_new(fresh);
      if (!going.empty()) step(going);
    }
  }

 private:
  int64_t context() const { return settings_.context; }

  /// Most tokens a slot has to hold.
  int64_t longest() const {
    size_t most = 0;
    for (const auto& prompt : prompts_) most = std::max(most, prompt.size());
    const int64_t tokens = static_cast<int64_t>(most) + settings_.max_new_tokens;
    return context() > 0 ? std::min(tokens, context()) : tokens;
  }

  /// Gives an idle slot the next prompt, and a full one room for more.
  void prepare(size_t slot) {
    auto& row = rows_[slot];
    if (!row && next_ < prompts_.size()) {
      row.emplace();
      row->prompt = next_;
      row->ids = prompts_[next_++];
      row->prompt_tokens = row->ids.size();
      if (input_.tokenizer != nullptr)
        row->stream.emplace(*input_.tokenizer, row->ids, settings_.stop_texts);
      cache_.lengths[slot] = 0;
      forget(*row);
    } else if (row && context() > 0 && cache_.lengths[slot] == context()) {
      cache_.lengths[slot] = 0;
      forget(*row);
    }
  }

  /// Of a text longer than the context, the model reads the last half of a context.
  void forget(Row& row) const {
    const auto most = static_cast<size_t>(context());
    if (context() == 0 || row.ids.size() - row.first <= most) return;
    row.first = row.ids.size() - std::max<size_t>(1, most / 2);
  }

  /// The texts of `slots` from their first token on, some at a time.
  void read_new(const std::vector<int64_t>& slots) {
    std::vector<int64_t> some;
    int64_t tokens = 0;
    for (const int64_t slot : slots) {
      const Row& row = *rows_[static_cast<size_t>(slot)];
      const auto count = static_cast<int64_t>(row.ids.size() - row.first);
      if (!some.empty() && tokens + count > kPrefillTokens) {
        step(some);
        some.clear();
        tokens = 0;
      }
      some.push_back(slot);
      tokens += count;
    }
    if (!some.empty()) step(some);
  }

  /// What the cache does not hold yet of each text.
  Batch unread(const std::vector<int64_t>& slots) const {
    std::vector<int64_t> ids, positions;
    std::vector<int32_t> bounds{0};
    for (const int64_t slot : slots) {
      const Row& row = *rows_[static_cast<size_t>(slot)];
      const auto known = cache_.lengths[static_cast<size_t>(slot)];
      for (size_t i = row.first + static_cast<size_t>(known); i < row.ids.size(); ++i) {
        ids.push_back(row.ids[i]);
        positions.push_back(static_cast<int64_t>(i - row.first));
      }
      bounds.push_back(static_cast<int32_t>(ids.size()));
    }
    Batch batch;
    batch.ids = host_ids(ids);
    batch.positions = host_ids(positions);
    batch.cu_seqlens = at::tensor(bounds, at::kInt);
    batch.noise_keys = at::zeros_like(batch.ids);
    return batch;
  }

  void step(const std::vector<int64_t>& slots) {
    const auto logits = input_.model.next_token_logits(unread(slots), &cache_, slots)
                            .to(at::kCPU, at::kFloat)
                            .contiguous();
    auto chosen = at::empty({static_cast<int64_t>(slots.size())}, at::kLong);
    const auto width = static_cast<size_t>(logits.size(1));
    auto* id = chosen.mutable_data_ptr<int64_t>();
    for (size_t i = 0; i < slots.size(); ++i) {
      const Row& row = *rows_[static_cast<size_t>(slots[i])];
      id[i] = sampler_.choose({logits.mutable_data_ptr<float>() + i * width, width}, row.ids,
                              static_cast<int64_t>(row.made.ids.size()));
    }
    // Ranks may run on different processors: rounding must not make them part.
    if (input_.world.size() > 1) input_.world.broadcast(chosen, 0);
    for (size_t i = 0; i < slots.size(); ++i) take(static_cast<size_t>(slots[i]), id[i]);
  }

  void take(size_t slot, int64_t id) {
    Row& row = *rows_[slot];
    row.ids.push_back(id);
    row.made.ids.push_back(id);
    const std::string piece = row.stream ? row.stream->push(id) : "";
    const auto& stops = settings_.stop_ids;
    row.made.stopped = std::find(stops.begin(), stops.end(), id) != stops.end() ||
                       (row.stream && row.stream->stopped());
    if (events_.token) events_.token(row.prompt, id, piece);
    if (row.made.stopped || is_full(row)) finish(slot);
  }

  bool is_full(const Row& row) const {
    const auto all = static_cast<int64_t>(row.ids.size());
    const auto reached = [&](int64_t bound) { return bound > 0 && all >= bound; };
    return static_cast<int64_t>(row.made.ids.size()) >= settings_.max_new_tokens ||
           reached(settings_.max_length) || (!settings_.rolls && reached(context()));
  }

  void finish(size_t slot) {
    Row& row = *rows_[slot];
    if (row.stream) {
      const std::string rest = row.stream->finish();
      if (events_.token && !rest.empty()) events_.token(row.prompt, -1, rest);
      row.made.text = row.stream->text();
      row.made.stopped = row.made.stopped || row.stream->stopped();
    }
    if (events_.done) events_.done(row.prompt, row.made);
    results_[row.prompt] = std::move(row.made);
    rows_[slot].reset();
  }

  const GenerationInput& input_;
  const GenerationSettings& settings_;
  const std::vector<std::vector<int64_t>>& prompts_;
  const GenerationEvents& events_;
  Sampler sampler_;
  std::vector<std::optional<Row>> rows_;  // by slot
  KeyValueCache cache_;
  std::vector<Generated> results_;
  size_t next_ = 0;  // prompt
};

}  // namespace

std::vector<Generated> generate(const GenerationInput& input,
                                const std::vector<std::vector<int64_t>>& prompts,
                                const GenerationEvents& events) {
  const at::NoGradGuard no_gradient;
  return Writer(input, prompts, events).run();
}

int64_t text_context(const Recipe& recipe) {
  int64_t context = 0;
  for (const auto& source : recipe.sources)
    for (const auto& segment : source.sample)
      if (segment.part == "text")
        context = std::max(context, source.keys.value("sample_tokens", recipe.train.pack_tokens));
  // Learned positions end with their table, and cached keys keep the frequencies of the original length.
  const bool bounded =
      !family_of(recipe.base.family).rotary || recipe.base.rope_scaling.rope_type == "dynamic";
  const int64_t positions = recipe.base.max_position_embeddings;
  if (!bounded || positions == 0) return context;
  return context == 0 ? positions : std::min(context, positions);
}

}  // namespace veomni
