#include "core/train/token_losses.h"

#include <ATen/ATen.h>

#include <cerrno>
#include <cstring>

#include "core/communicator.h"
#include "core/error.h"
#include "core/report/json_lines.h"
#include "core/train/gather.h"

namespace veomni {
namespace {

Json line_of(const Sample& sample, const std::string& source, const float* losses) {
  Json tokens = Json::array();
  for (size_t t = 0; t < sample.labels.size(); ++t) {
    if (sample.labels[t] == kIgnore) continue;
    tokens.push_back({{"position", t + 1}, {"id", sample.labels[t]}, {"loss", losses[t]}});
  }
  return {{"source", source}, {"index", sample.index}, {"tokens", std::move(tokens)}};
}

[[noreturn]] void cannot_write(const std::string& path) {
  throw ConfigError(fmt::format("--per-token: {} cannot be written: {}; name another file", path,
                                std::strerror(errno)));
}

}  // namespace

TokenLosses::TokenLosses(const std::string& path, const Recipe& recipe, Communicator& group,
                         bool writes)
    : path_(path), recipe_(recipe), group_(group), file_(nullptr, std::fclose) {
  if (group.rank() != 0 || !writes) return;
  file_.reset(std::fopen(path.c_str(), "wb"));
  if (!file_) cannot_write(path_);
}

void TokenLosses::add(const std::vector<Sample>& samples, const at::Tensor& losses) {
  std::string mine;
  const auto host = losses.defined() ? losses.cpu().contiguous() : at::Tensor();
  const float* next = host.defined() ? host.const_data_ptr<float>() : nullptr;
  for (const auto& sample : samples) {
    const auto& source = recipe_.sources[static_cast<size_t>(sample.source)].name;
    mine += json_line(line_of(sample, source, next)) + "\n";
    if (next != nullptr) next += sample.ids.size();
  }
  for (const auto& text : gather_texts(group_, mine)) {
    if (file_ && std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size())
      cannot_write(path_);
  }
}

void TokenLosses::close() {
  if (file_ && std::fclose(file_.release()) != 0) cannot_write(path_);
}

}  // namespace veomni
