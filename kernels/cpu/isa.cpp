#include "kernels/cpu/isa.h"

#include <atomic>
#include <cstdlib>

#include "core/error.h"
#include "kernels/cpu/amx.h"
#include "kernels/cpu/generation_loops.h"

namespace veomni::kernels {
namespace {

struct Entry {
  const char* name;
  bool (*supported)();
  Loops loops;
  GenerationLoops generation;
};

#define VEOMNI_FILL(isa)                 \
  [] {                                   \
    Loops loops;                         \
    isa::fill_attention(loops);          \
    isa::fill_attention_backward(loops); \
    isa::fill_matrix(loops);             \
    isa::fill_norm(loops);               \
    isa::fill_activation(loops);         \
    isa::fill_cross_entropy(loops);      \
    isa::fill_optimizer(loops);          \
    isa::fill_rows(loops);               \
    return loops;                        \
  }()

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

bool has_amx() {
  static const bool has = has_avx512() && amx::available();
  return has;
}

Loops with_amx(Loops loops) {
  amx::fill_matrix(loops);
  return loops;
}

#define VEOMNI_FILL_GENERATION(isa)    \
  [] {                                 \
    GenerationLoops loops;             \
    isa::fill_cached_attention(loops); \
    isa::fill_few_rows(loops);         \
    return loops;                      \
  }()

const Entry* entries() {
  static const Entry all[] = {
      {"sse2", [] { return true; }, VEOMNI_FILL(sse2), VEOMNI_FILL_GENERATION(sse2)},
      {"avx2", has_avx2, VEOMNI_FILL(avx2), VEOMNI_FILL_GENERATION(avx2)},
      {"avx512", has_avx512, VEOMNI_FILL(avx512), VEOMNI_FILL_GENERATION(avx512)},
      {"amx", has_amx, with_amx(VEOMNI_FILL(avx512)), VEOMNI_FILL_GENERATION(avx512)}};
  return all;
}
#undef VEOMNI_FILL
#undef VEOMNI_FILL_GENERATION
constexpr int kEntries = 4;

const Entry* find(std::string_view name) {
  for (int i = 0; i < kEntries; ++i) {
    const Entry& entry = entries()[i];
    if (name != entry.name) continue;
    require<DeviceError>(entry.supported(),
                         "VEOMNI_ISA: this processor has no {}; leave the variable out", name);
    return &entry;
  }
  throw DeviceError(fmt::format(
      "VEOMNI_ISA: unknown instruction set '{}'; known: sse2, avx2, avx512, amx", name));
}

const Entry* choose() {
  if (const char* name = std::getenv("VEOMNI_ISA"); name && *name) return find(name);
  const Entry* best = entries();
  for (int i = 1; i < kEntries; ++i)
    if (entries()[i].supported()) best = &entries()[i];
  return best;
}

std::atomic<const Entry*> chosen = nullptr;

const Entry& current() {
  const Entry* entry = chosen.load(std::memory_order_acquire);
  if (!entry) chosen.store(entry = choose(), std::memory_order_release);
  return *entry;
}

}  // namespace

const Loops& loops() { return current().loops; }
const GenerationLoops& generation_loops() { return current().generation; }

std::string isa_name() { return current().name; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (int i = 0; i < kEntries; ++i)
    if (entries()[i].supported()) names.emplace_back(entries()[i].name);
  return names;
}

void use_isa(std::string_view name) { chosen.store(find(name), std::memory_order_release); }

}  // namespace veomni::kernels
