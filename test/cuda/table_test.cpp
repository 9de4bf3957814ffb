// The table itself, without a device.
#include "test/cuda/support.h"

#ifndef VEOMNI_EMULATED
#include "parallel/comm/nccl_table.h"
#endif

namespace veomni::test {
namespace {

/// Pointers of a table after its version number.
template <class Table>
std::vector<void*> pointers(const Table& table) {
  std::vector<void*> found((sizeof(Table) - sizeof(void*)) / sizeof(void*));
  std::memcpy(found.data(), reinterpret_cast<const char*>(&table) + sizeof(void*),
              found.size() * sizeof(void*));
  return found;
}

}  // namespace

TEST_CASE("cuda table: every function is there, each another one", "[cuda][table]") {
  REQUIRE(table().version == kVeomniCudaTableVersion);
  std::vector<void*> found = pointers(table());
  CHECK(found.size() == 20);
  CHECK(std::count(found.begin(), found.end(), nullptr) == 0);
  std::sort(found.begin(), found.end());
  CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
}

TEST_CASE("cuda table: another version is refused", "[cuda][table]") {
  const auto get = symbol<const VeomniCudaTable*(int)>("veomni_cuda_table");
  CHECK(get(kVeomniCudaTableVersion - 1) == nullptr);
  CHECK(get(kVeomniCudaTableVersion + 1) == nullptr);
}

TEST_CASE("cuda table: errors have texts", "[cuda][table]") {
  CHECK(std::string(table().error_text(kVeomniUnsupported)).find("not supported") !=
        std::string::npos);
  CHECK(std::string(table().error_text(0)).size() > 0);
}

TEST_CASE("cuda table: unsupported sizes and dtypes are refused before any launch",
          "[cuda][table]") {
  VeomniRope rope{};
  rope.head_dim = 33;
  CHECK(table().rope(&rope, nullptr) == kVeomniUnsupported);
  CHECK(table().rope_backward(&rope, nullptr) == kVeomniUnsupported);
  VeomniAttention attention{};
  attention.head_dim = kVeomniMaxHeadDim + 1, attention.query_heads = attention.key_value_heads = 1;
  CHECK(table().attention(&attention, nullptr) == kVeomniUnsupported);
  attention.head_dim = 64, attention.query_heads = 3, attention.key_value_heads = 2;
  CHECK(table().attention_backward(&attention, nullptr) == kVeomniUnsupported);
  VeomniMoeSort sort{};
  sort.experts = kVeomniMaxExperts + 1;
  CHECK(table().moe_sort(&sort, nullptr) == kVeomniUnsupported);
  VeomniSwiglu swiglu{};
  swiglu.tokens = swiglu.width = 1, swiglu.scalar = 7;
  CHECK(table().swiglu(&swiglu, nullptr) == kVeomniUnsupported);
}

#ifndef VEOMNI_EMULATED
TEST_CASE("nccl table: every function is there, another version is refused", "[cuda][table]") {
  const auto get = symbol<const VeomniNcclTable*(int)>("veomni_nccl_table");
  const VeomniNcclTable* nccl = get(kVeomniNcclTableVersion);
  REQUIRE(nccl != nullptr);
  const std::vector<void*> found = pointers(*nccl);
  CHECK(found.size() == 20);
  CHECK(std::count(found.begin(), found.end(), nullptr) == 0);
  CHECK(get(kVeomniNcclTableVersion + 1) == nullptr);
  CHECK(std::string(nccl->error_text(kVeomniNcclInProgress)).size() > 0);
}
#endif

}  // namespace veomni::test
