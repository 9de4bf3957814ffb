// The keys under `train`.
#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;

Key at_least_zero(const std::string& name, const std::string& doc, Json value) {
  return {.name = name,
          .type = Type::number,
          .doc = doc,
          .default_value = std::move(value),
          .minimum = 0,
          .maximum = 1e9};
}

Key step_count(const std::string& name, const std::string& doc, Json value, double least) {
  return {.name = name,
          .type = Type::integer,
          .doc = doc,
          .default_value = std::move(value),
          .minimum = least,
          .maximum = 1e12};
}

Key choice(const std::string& name, const std::string& doc,
           const std::vector<std::string>& choices) {
  return {.name = name,
          .type = Type::string,
          .doc = doc,
          .default_value = choices.front(),
          .choices = choices};
}

Key optimizer_key() {
  const Key momentum{.name = "momentum",
                     .type = Type::number,
                     .doc = "fraction of the last update kept",
                     .default_value = 0.0,
                     .minimum = 0,
                     .maximum = 1,
                     .exclusive_maximum = true};
  const Key beta{.name = "",
                 .type = Type::number,
                 .doc = "decay a step",
                 .minimum = 0,
                 .maximum = 1,
                 .exclusive_maximum = true};
  const Key betas{.name = "betas",
                  .type = Type::array,
                  .doc = "decay of the averages of the gradient and of its square",
                  .default_value = Json::array({0.9, 0.95}),
                  .minimum = 2,
                  .maximum = 2,
                  .items = {beta}};
  Key eps = at_least_zero("eps", "added to the root of the average square", 1e-8);
  eps.exclusive_minimum = true;
  return {.name = "optimizer",
          .type = Type::object,
          .doc = "how gradients become updates",
          .default_value = Json::object(),
          .keys = {{.name = "type",
                    .type = Type::string,
                    .doc = "which optimizer",
                    .default_value = "adamw"},
                   at_least_zero("lr", "learning rate after warm-up", 1e-3),
                   at_least_zero("weight_decay", "decoupled decay of weights", 0.1),
                   at_least_zero("clip", "largest global norm of the gradient; 0: any", 1.0),
                   {.name = "decay_all",
                    .type = Type::boolean,
                    .doc = "decay norms, biases and embeddings as well",
                    .default_value = false}},
          .variant_key = "type",
          .variants = {{"adamw", "Loshchilov & Hutter 2019", {betas, eps}},
                       {"sgd", "with momentum", {momentum}}}};
}

Key schedule_key() {
  const Key warmup = step_count("warmup", "steps in which the rate rises from 0", 0, 0);
  const Key final{.name = "final",
                  .type = Type::number,
                  .doc = "last learning rate as a fraction of lr",
                  .default_value = 0.1,
                  .minimum = 0,
                  .maximum = 1};
  Key decay = step_count("decay", "steps of the final decay", nullptr, 1);
  decay.required = true;
  return {.name = "schedule",
          .type = Type::object,
          .doc = "the learning rate over the run",
          .default_value = Json::object(),
          .keys = {{.name = "type",
                    .type = Type::string,
                    .doc = "shape after warm-up",
                    .default_value = "cosine"}},
          .variant_key = "type",
          .variants = {{"constant", "stays at lr", {warmup}},
                       {"linear", "falls on a line", {warmup, final}},
                       {"cosine", "falls on half a cosine", {warmup, final}},
                       {"wsd", "stays at lr, then decays", {warmup, decay, final}}}};
}

Key groups_key() {
  const Key match{.name = "match",
                  .type = Type::string,
                  .doc =
                      "names of parameters, '*' for any characters: base.*, encoders.photo.*, "
                      "heads.label.*, tables.zip; a parameter belongs to the first that matches",
                  .required = true,
                  .minimum = 1,
                  .maximum = 1024};
  const Key frozen{
      .name = "frozen",
      .type = Type::boolean,
      .doc = "true: they keep their values, and cost no gradient and no optimizer state",
      .default_value = false};
  const Key group{.name = "",
                  .type = Type::object,
                  .doc = "settings of the parameters it matches",
                  .keys = {match, frozen,
                           at_least_zero("lr",
                                         "their learning rate after warm-up, on the schedule's "
                                         "shape; the optimizer's by default",
                                         nullptr),
                           at_least_zero("weight_decay",
                                         "of those among them that decay; the optimizer's by "
                                         "default",
                                         nullptr)}};
  return {.name = "groups",
          .type = Type::array,
          .doc = "parameters that are frozen or have settings of their own",
          .default_value = Json::array(),
          .items = {group}};
}
}  // namespace

Key train_key() {
  Key epochs = at_least_zero("epochs", "passes over the data instead of steps", nullptr);
  epochs.exclusive_minimum = true;
  Key dropout =
      at_least_zero("dropout", "on residual branches and table rows, in training only", 0.0);
  dropout.maximum = 1;
  dropout.exclusive_maximum = true;
  return {.name = "train",
          .type = Type::object,
          .doc = "length, batch, optimizer and numbers of the training",
          .required = true,
          .keys = {step_count("steps", "optimizer steps", nullptr, 1),
                   epochs,
                   {.name = "packs",
                    .type = Type::integer,
                    .doc = "packs of one optimizer step, whatever the number of ranks",
                    .required = true,
                    .minimum = 1,
                    .maximum = 1 << 20},
                   {.name = "pack_tokens",
                    .type = Type::integer,
                    .doc = "most tokens of a pack",
                    .required = true,
                    .minimum = 1,
                    .maximum = 1 << 24},
                   optimizer_key(),
                   groups_key(),
                   schedule_key(),
                   choice("precision", "of activations and gathered weights; masters stay fp32",
                          {"fp32", "bf16"}),
                   choice("device", "where tensors live", {"cpu", "cuda"}),
                   choice("task_weights",
                          "fixed, or learned from each task's uncertainty (Kendall et al. 2018)",
                          {"fixed", "uncertainty"}),
                   dropout,
                   {.name = "workers",
                    .type = Type::integer,
                    .doc = "data threads of a rank",
                    .default_value = 1,
                    .minimum = 1,
                    .maximum = 256},
                   reserved_key("objectives"),
                   reserved_key("encoder_tokens")}};
}

}  // namespace veomni
