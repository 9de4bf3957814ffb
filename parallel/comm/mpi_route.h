#pragma once
// What the collectives of MpiCommunicator share: routes of bytes, tags, works.

#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/staging.h"

namespace veomni::comm {

/// A call takes this many tags, so that stages and kinds never mix.
constexpr int kTagsPerCall = 16;
enum Tag {
  kExchange = 0,
  kScatter = 2,
  kGather = 4,
  kReduceScatter = 6,
  kAllGather = 8,
  kAllToAll = 10
};

/// Bytes between this rank and each other one; its own part is not moved.
struct MpiCommunicator::Route {
  const char* send = nullptr;
  std::vector<int64_t> send_starts{}, send_bytes{};
  char* receive = nullptr;
  std::vector<int64_t> receive_starts{}, receive_bytes{};
  int tag = 0;
};

/// A started operation, and where its result goes.
struct MpiCommunicator::Started : Work {
  Started(MpiCommunicator& its_owner, std::shared_ptr<MpiOperation> its_operation)
      : owner(its_owner), operation(std::move(its_operation)) {}
  void wait() override {
    owner.wait(*operation);
    delivery.deliver();
  }
  MpiCommunicator& owner;
  std::shared_ptr<MpiOperation> operation;
  Delivery delivery;
};

}  // namespace veomni::comm
