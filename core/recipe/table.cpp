#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;

Key eval_key() {
  return {.name = "eval",
          .type = Type::object,
          .doc = "evaluation on the held-back part of every source",
          .default_value = Json::object(),
          .keys = {{.name = "every",
                    .type = Type::integer,
                    .doc = "steps between evaluations; 0: only at the end",
                    .default_value = 0,
                    .minimum = 0},
                   {.name = "samples",
                    .type = Type::integer,
                    .doc = "most samples of a source in evaluations before the last; 0: all",
                    .default_value = 0,
                    .minimum = 0}}};
}

Key parallel_key() {
  return {
      .name = "parallel",
      .type = Type::object,
      .doc = "how many ranks each axis of the mesh has",
      .default_value = Json::object(),
      .keys =
          {{.name = "replicate",
            .type = Type::integer,
            .doc = "ranks that hold the same parameters",
            .default_value = 1,
            .minimum = 1,
            .maximum = 1 << 20},
           {.name = "shard",
            .type = Type::integer,
            .doc = "ranks with packs of their own that share one copy of the parameters; all that "
                   "the other axes leave by default",
            .minimum = 1,
            .maximum = 1 << 20},
           {.name = "sequence",
            .type = Type::integer,
            .doc =
                "ranks that share the tokens of a pack (Ulysses); must divide the attention heads",
            .default_value = 1,
            .minimum = 1,
            .maximum = 1 << 20},
           {.name = "overlap",
            .type = Type::boolean,
            .doc = "exchanges of tokens travel while something else is computed",
            .default_value = true},
           {.name = "timeout",
            .type = Type::number,
            .doc = "seconds that a rank waits for the others in a call before the job ends",
            .default_value = 600,
            .minimum = 1},
           {.name = "prefetch",
            .type = Type::integer,
            .doc = "units (blocks) whose parameters are gathered ahead of the one that computes",
            .default_value = 1,
            .minimum = 0,
            .maximum = 64},
           {.name = "reshard_after_forward",
            .type = Type::string,
            .doc = "whether gathered parameters are released between forward and backward and "
                   "gathered again; auto: unless they all take at most 64 MB",
            .default_value = "auto",
            .choices = {"auto", "always", "never"}},
           {.name = "reduce_gradients",
            .type = Type::string,
            .doc = "when gradients are summed over ranks; each_step: whole gradients stay on each "
                   "rank until the last micro-batch",
            .default_value = "each_micro_batch",
            .choices = {"each_micro_batch", "each_step"}},
           {.name = "balance_encoders",
            .type = Type::boolean,
            .doc = "ranks whose packs have more images, sounds or records than others' let the "
                   "others encode some of them",
            .default_value = true},
           {.name = "expert",
            .type = Type::integer,
            .doc =
                "ranks among shard × sequence that share the experts of a layer; must divide them",
            .default_value = 1,
            .minimum = 1,
            .maximum = 1 << 20},
           {.name = "recompute",
            .type = Type::string,
            .doc = "activations recomputed in backward instead of kept",
            .default_value = "none",
            .choices = {"none"},
            .instead = "leave it out or give \"none\""},
           reserved_key("context"),
           reserved_key("tensor"),
           reserved_key("pipeline"),
           reserved_key("offload")},
      .reserved_values = {"auto"},
      .instead = "leave parallel out or give its axes"};
}

Key checkpoint_key() {
  return {.name = "checkpoint",
          .type = Type::object,
          .doc = "when the run is saved",
          .default_value = Json::object(),
          .keys = {{.name = "every",
                    .type = Type::integer,
                    .doc = "steps between checkpoints; 0: only at the end",
                    .default_value = 0,
                    .minimum = 0},
                   {.name = "keep",
                    .type = Type::integer,
                    .doc = "newest checkpoints that stay on disk",
                    .default_value = 2,
                    .minimum = 1}}};
}
}  // namespace

Key reserved_key(const std::string& name, const std::string& instead) {
  return {.name = name, .doc = "", .reserved = true, .instead = instead};
}

Key recipe_key() {
  return {
      .name = "recipe",
      .type = Type::object,
      .doc = "a veomni recipe: model, data and training of one run",
      .keys = {
          {.name = "$schema",
           .type = Type::string,
           .doc = "for editors: where the JSON Schema of recipes stands (veomni schema prints it)"},
          {.name = "name",
           .type = Type::string,
           .doc = "name of the run; the recipe's file name by default",
           .minimum = 1,
           .maximum = 128},
          {.name = "seed",
           .type = Type::integer,
           .doc = "decides every random number of the run",
           .default_value = 1,
           .minimum = 0},
          model_key(),
          {.name = "tokenizer",
           .type = Type::string,
           .doc = "how text becomes tokens: characters, bytes, or the path of a tokenizer.json, a "
                  "tokenizer.model, or a directory that holds one; that of model.from by default",
           .minimum = 1,
           .maximum = 4096},
          data_key(),
          train_key(),
          eval_key(),
          parallel_key(),
          checkpoint_key(),
          {.name = "output",
           .type = Type::string,
           .doc = "run directory, relative to the recipe file; runs/<name> by default",
           .minimum = 1,
           .maximum = 4096}}};
}

}  // namespace veomni
