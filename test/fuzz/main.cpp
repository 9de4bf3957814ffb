// fuzz [--runs N] [--seed S] [--target NAME] [--keep FOLDER] [--replay FILE]: damages small sound files and has the
// program's readers read them. Whatever they do but to read them, or to refuse them in one line, is a finding.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "core/error.h"
#include "core/tokenizer/unicode.h"
#include "fuzz/mutate.h"
#include "fuzz/targets.h"
#include "fuzz/watch.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
namespace {

struct Settings {
  int64_t runs = 1000;
  uint64_t seed = 1;
  std::string target, replay;
  fs::path keep = ".";
};

Settings read_settings(int count, char** arguments) {
  Settings settings;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string key = arguments[i], value = arguments[i + 1];
    if (key == "--runs")
      settings.runs = std::stoll(value);
    else if (key == "--seed")
      settings.seed = std::stoull(value);
    else if (key == "--target")
      settings.target = value;
    else if (key == "--keep")
      settings.keep = value;
    else if (key == "--replay")
      settings.replay = value;
    else
      throw ConfigError(fmt::format("fuzz: unknown argument {}", key));
  }
  return settings;
}

/// What is wrong with an error line; empty: nothing.
std::string fault_of(const std::string& line, const fs::path& folder) {
  if (line.find(folder.string()) == std::string::npos) return "names no file";
  if (line.size() > 1000) return "is longer than 1000 bytes";
  if (find_invalid_utf8(line) != std::string::npos) return "is not UTF-8";
  for (const char c : line)
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) return "holds a control character";
  return "";
}

/// The line without what differs from input to input: a new one shows that a new place was reached.
std::string shape_of(const std::string& line) {
  std::string shape;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"' || c == '\'') quoted = !quoted;
    if (!quoted && static_cast<uint8_t>(c) < 0x80 && std::isdigit(c) == 0) shape += c;
  }
  return shape.substr(0, 200);
}

class Fuzzer {
 public:
  Fuzzer(const Target& target, const Settings& settings, const fs::path& folder)
      : target_(target),
        settings_(settings),
        folder_(folder),
        random_(settings.seed, target.words) {}

  /// The number of findings.
  int run() {
    const auto start = std::chrono::steady_clock::now();
    for (const auto& seed : target_.seeds) try_input(seed, true);
    for (int64_t i = 0; i < settings_.runs && findings_ < kMostFindings; ++i) {
      // Often from a sound one: refusals that quote what they read are each new, and would crowd it out.
      const auto& from = corpus_[random_.below(i % 3 == 0 ? target_.seeds.size() : corpus_.size())];
      auto bytes = random_.mutate(from, corpus_[random_.below(corpus_.size())]);
      if (target_.repair && random_.below(4) != 0) target_.repair(bytes);
      if (bytes.size() <= kMostBytes) try_input(bytes, false);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{:18} {:9} executions, {:7} read, {:4} kinds of refusal, {} findings, {:.0f} s\n",
               target_.name, executions_, accepted_, shapes_.size(), findings_, seconds);
    std::fflush(stdout);
    return findings_;
  }

 private:
  static constexpr int kMostFindings = 10;
  static constexpr size_t kMostBytes = 1 << 16, kMostInputs = 3000;

  void try_input(const std::string& bytes, bool sound) {
    const auto name = fmt::format("{}-{}-{}.input", target_.name, settings_.seed, executions_++);
    const std::string finding = (settings_.keep / name).string();
    const Watch watch(bytes, finding);
    std::string shape, fault;
    try {
      target_.read(bytes);
      ++accepted_;
    } catch (const ConfigError& error) {
      fault = sound ? "refuses a sound input" : fault_of(error.what(), folder_);
      if (!fault.empty()) fault += fmt::format(": {}", error.what());
      shape = shape_of(error.what());
    } catch (const std::exception& error) {
      fault = fmt::format("throws another error: {}", error.what());
    }
    if (!fault.empty()) report(bytes, finding, fault);
    const bool fresh = !shape.empty() && shapes_.insert(shape).second;
    const bool taken = shape.empty() && random_.below(50) == 0;
    if (!sound && !fresh && !taken) return;
    if (corpus_.size() < kMostInputs)
      corpus_.push_back(bytes);
    else
      corpus_[target_.seeds.size() + random_.below(kMostInputs - target_.seeds.size())] = bytes;
  }

  void report(const std::string& bytes, const std::string& finding, const std::string& fault) {
    if (!faults_.insert(shape_of(fault)).second) return;
    ++findings_;
    keep(bytes, finding);
    fmt::print("{}: {}\n", finding, fault);
  }

  const Target& target_;
  const Settings& settings_;
  const fs::path& folder_;
  Mutator random_;
  std::vector<std::string> corpus_;
  std::set<std::string> shapes_, faults_;
  int64_t executions_ = 0, accepted_ = 0;
  int findings_ = 0;
};

std::vector<Target> all_targets(const fs::path& folder) {
  auto all = weight_targets(folder);
  for (const auto& more :
       {config_targets, tokenizer_targets, chat_targets, data_targets, media_targets})
    for (auto& target : more(folder)) all.push_back(std::move(target));
  return all;
}

int replay(const Target& target, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  try {
    target.read({std::istreambuf_iterator<char>(stream), {}});
    fmt::print("read\n");
  } catch (const ConfigError& error) {
    fmt::print("{}\n", error.what());
  }
  return 0;
}

int run(const Settings& settings, const fs::path& folder) {
  int findings = 0;
  bool known = settings.target.empty();
  for (const Target& target : all_targets(folder)) {
    if (!settings.target.empty() && settings.target != target.name) continue;
    known = true;
    if (!settings.replay.empty()) return replay(target, settings.replay);
    findings += Fuzzer(target, settings, folder).run();
  }
  require<ConfigError>(known, "fuzz: no target {}", settings.target);
  return findings == 0 ? 0 : 1;
}

}  // namespace

void write_bytes(const fs::path& file, const std::string& bytes) { keep(bytes, file.string()); }

}  // namespace veomni::fuzz

int main(int count, char** arguments) {
  namespace fs = std::filesystem;
  try {
    const auto settings = veomni::fuzz::read_settings(count, arguments);
    const fs::path memory = "/dev/shm";  // files that cost no disk
    const auto folder = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) /
                        fmt::format("veomni-fuzz-{}", ::getpid());
    fs::create_directories(folder);
    const int code = veomni::fuzz::run(settings, folder);
    fs::remove_all(folder);
    return code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
