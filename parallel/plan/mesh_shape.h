#pragma once
// Sizes of the mesh's axes, and where each rank stands. The only place that does arithmetic with ranks.
//
// Ranks are numbered with the outermost axis first: replicate × shard × sequence. `expert` regroups the shard × sequence
// ranks of one replica: expert_shard × expert, expert innermost. Axes to come have their places in that order and nowhere
// else: pipeline × replicate × shard × context × sequence × tensor. A new axis is a factor in `place` and in `resolve`,
// and a colour for its group in parallel/mesh.cpp.

#include <cstdint>
#include <string>

namespace veomni {

struct MeshShape {
  int replicate = 1;  ///< copies of the parameters
  int shard =
      0;  ///< ranks with lanes of their own that share one copy; 0: all that the other axes leave
  int sequence =
      1;  ///< ranks that share the tokens of a pack; parameters are split over shard × sequence
  int expert = 1;  ///< ranks that share the experts of a layer

  /// With shard filled in. Throws ConfigError with the sizes that would fit when the axes do not fill the world.
  MeshShape resolve(int world_size) const;

  /// `replicate 1 × shard 2`, with sequence and expert where they are more than 1
  std::string text() const;

  /// Ranks that hold one copy of the dense parameters.
  int copy_size() const { return shard * sequence; }

  /// Where a rank of the world stands on each axis.
  struct Place {
    int replicate, shard, sequence, expert, expert_shard;
    int copy;  ///< shard · sequence size + sequence: among the ranks of its copy
  };
  Place place(int rank) const;
};

}  // namespace veomni
