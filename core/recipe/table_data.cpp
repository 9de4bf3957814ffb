// The keys under `data`: sources, how they are split, and which parts see which fields.
#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;

Key name_key(const std::string& name, const std::string& doc, bool required = false) {
  return {.name = name, .type = Type::string, .doc = doc, .required = required, .minimum = 1};
}

Key path_key(const std::string& name, const std::string& doc, bool required) {
  const Key one = name_key("", "a path relative to the recipe file");
  return {
      .name = name,
      .doc = doc,
      .required = required,
      .any_of = {
          one,
          {.name = "", .type = Type::array, .doc = "several paths", .minimum = 1, .items = {one}}}};
}

Key range_key(const std::string& name, const std::string& doc, Json value) {
  return {.name = name,
          .type = Type::array,
          .doc = doc,
          .default_value = std::move(value),
          .minimum = 2,
          .maximum = 2,
          .items = {
              {.name = "", .type = Type::number, .doc = "a fraction", .minimum = 0, .maximum = 1}}};
}

Key strings_key(const std::string& name, const std::string& doc, Json value) {
  return {.name = name,
          .type = Type::array,
          .doc = doc,
          .default_value = std::move(value),
          .items = {{.name = "", .type = Type::string, .doc = ""}}};
}

Key split_key() {
  return {.name = "split",
          .type = Type::object,
          .doc = "parts of the source in file order, as fractions [begin, end)",
          .default_value = Json::object(),
          .keys = {range_key("train", "fractions to train on", Json::array({0.0, 1.0})),
                   range_key("eval", "fractions held back for evaluation", nullptr),
                   reserved_key("by")}};
}

Key learn_key() {
  const Key role{
      .name = "", .type = Type::string, .doc = "whose turns are learned", .choices = {"assistant"}};
  return {.name = "learn",
          .doc =
              "text only: train on predicting these tokens; in conversations only the "
              "assistant's turns unless true",
          .any_of = {{.name = "", .type = Type::boolean, .doc = "all or none of the tokens"},
                     {.name = "",
                      .type = Type::array,
                      .doc = "conversations: the roles whose turns are learned",
                      .minimum = 1,
                      .maximum = 1,
                      .items = {role}}}};
}

Key sample_key() {
  const Key segment{.name = "",
                    .type = Type::object,
                    .doc = "one segment",
                    .keys = {name_key("part", "text, or the name of an encoder", true),
                             name_key("field", "column or field it reads"),
                             name_key("messages", "conversations: the column with the messages"),
                             name_key("template",
                                      "conversations: \"tokenizer\", its own chat template, or the "
                                      "path of a Jinja file"),
                             learn_key(), reserved_key("each")}};
  return {.name = "sample",
          .type = Type::array,
          .doc = "the segments of a sample, in order",
          .required = true,
          .minimum = 1,
          .maximum = 1024,
          .items = {segment}};
}

Key targets_key() {
  const Key positive{.name = "positive",
                     .doc = "binary heads: the cell or cells that mean 1; all others mean 0",
                     .any_of = {{.name = "", .type = Type::string, .doc = "one text"},
                                {.name = "", .type = Type::number, .doc = "one number"},
                                {.name = "", .type = Type::boolean, .doc = "true or false"},
                                {.name = "", .type = Type::array, .doc = "several", .minimum = 1}}};
  const Key target{
      .name = "",
      .doc = "the label of one head",
      .any_of = {
          name_key("", "column of the label"),
          {.name = "",
           .type = Type::object,
           .doc = "column of the label and how to read it",
           .keys = {name_key("field", "column of the label", true),
                    positive,
                    {.name = "classes",
                     .type = Type::array,
                     .doc = "classification heads: the cells' texts, in the order of classes",
                     .minimum = 2},
                    reserved_key("where")}}}};
  return {.name = "targets",
          .type = Type::object,
          .doc = "head → column of its label; a row without a label trains nothing on it",
          .default_value = Json::object(),
          .items = {target}};
}

Key format_key() {
  return {.name = "format",
          .type = Type::string,
          .doc = "how the files are read (.gz too)",
          .required = true};
}

Keys csv_keys() {
  Key delimiter = name_key("delimiter", "the byte between columns");
  delimiter.default_value = ",";
  delimiter.maximum = 1;
  return {{.name = "header",
           .type = Type::boolean,
           .doc = "the first line names the columns",
           .default_value = true},
          strings_key("columns", "names of the columns when there is no header", nullptr),
          delimiter,
          strings_key("missing", "cells that mean: no value", Json::array({""}))};
}

Key named(const char* name, const char* doc, const char* value) {
  Key key = name_key(name, doc);
  key.default_value = value;
  return key;
}

Key object_key(const std::string& name, const std::string& doc, Keys keys) {
  return {.name = name,
          .type = Type::object,
          .doc = doc,
          .default_value = Json::object(),
          .keys = std::move(keys)};
}

Key truncate_key() {
  return {
      .name = "truncate",
      .type = Type::boolean,
      .doc = "cut conversations that are longer than train.pack_tokens, instead of refusing them",
      .default_value = false};
}

// The words for columns and tags are LLaMA-Factory's (dataset_info.json).
Keys alpaca_keys() {
  return {object_key("columns", "names of the columns",
                     {named("prompt", "what the user asks", "instruction"),
                      named("query", "what is appended to it", "input"),
                      named("response", "the answer", "output"),
                      named("system", "the system prompt; may be absent", "system"),
                      named("history", "earlier turns as pairs; may be absent", "history")}),
          truncate_key()};
}

Keys sharegpt_keys() {
  return {object_key("columns", "names of the columns",
                     {named("system", "the system prompt; may be absent", "system"),
                      named("tools", "tool schemas, or their JSON text; may be absent", "tools")}),
          object_key("tags", "how a message is written",
                     {named("role_tag", "key of the role", "from"),
                      named("content_tag", "key of the content", "value"),
                      named("user_tag", "role of the user", "human"),
                      named("assistant_tag", "role of the assistant", "gpt"),
                      named("observation_tag", "role of a tool's result", "observation"),
                      named("function_tag", "role of a call of a tool", "function_call"),
                      named("system_tag", "role of the system prompt", "system")}),
          truncate_key()};
}

Keys messages_keys() {
  return {object_key("columns", "names of the columns",
                     {named("tools", "tool schemas, or their JSON text; may be absent", "tools")}),
          truncate_key()};
}

std::vector<Variant> formats() {
  return {
      {"text",
       "one running text, cut into windows",
       {{.name = "sample_tokens",
         .type = Type::integer,
         .doc = "tokens of a window; train.pack_tokens by default",
         .minimum = 1}}},
      {"lines", "one sample a line", {}},
      {"jsonl", "one JSON object a line", {}},
      {"tokens",
       "one JSON object a line: input_ids, and labels where not all ids are learned (-100: not)",
       {}},
      {"alpaca",
       "conversations as instruction, input and output: a JSON array, or an object a line",
       alpaca_keys()},
      {"sharegpt", "conversations as lists of from and value: a JSON array, or an object a line",
       sharegpt_keys()},
      {"messages", "conversations as lists of role and content: a JSON array, or an object a line",
       messages_keys()},
      {"csv", "one row a sample", csv_keys()},
      {"idx", "MNIST's arrays of images", {path_key("labels", "the idx file of labels", false)}},
      {"images",
       "PNG and JPEG: a folder with one sub-folder a class, or a csv or jsonl manifest",
       {strings_key("images", "manifest: columns that hold paths of images; image by default",
                    nullptr)}},
      {"media",
       "a csv or jsonl manifest with paths of images and of sounds (WAV)",
       {strings_key("images", "columns that hold paths of images; image by default", nullptr),
        strings_key("audio", "columns that hold paths of sounds; audio by default", nullptr)}}};
}

Key source_key() {
  return {.name = "",
          .type = Type::object,
          .doc = "a source of samples",
          .keys = {name_key("name", "its name in metrics and errors", true),
                   format_key(),
                   path_key("path", "file or files, relative to the recipe file", true),
                   {.name = "weight",
                    .type = Type::number,
                    .doc = "how often it is drawn, relative to the other sources",
                    .default_value = 1.0,
                    .minimum = 0,
                    .maximum = 1e9,
                    .exclusive_minimum = true},
                   {.name = "weight_by",
                    .type = Type::string,
                    .doc = "what weight counts; the same in every source",
                    .default_value = "samples",
                    .choices = {"samples", "tokens"}},
                   split_key(),
                   sample_key(),
                   targets_key(),
                   name_key("sample_weight", "column with the weight of each sample's losses"),
                   name_key("group", "column by which GAUC groups the samples"),
                   reserved_key("messages", "give it in the text segment of \"sample\""),
                   reserved_key("template", "give it in the text segment of \"sample\"")},
          .variant_key = "format",
          .variants = formats()};
}
}  // namespace

Key data_key() {
  return {.name = "data",
          .type = Type::object,
          .doc = "where samples come from",
          .required = true,
          .keys = {{.name = "sources",
                    .type = Type::array,
                    .doc = "one or more sources, mixed by weight",
                    .required = true,
                    .minimum = 1,
                    .maximum = 4096,
                    .items = {source_key()}},
                   reserved_key("weight_by", "give it in every source")}};
}

std::vector<std::string> format_fields(const std::string& format) {
  if (format == "text" || format == "lines") return {"text"};
  if (format == "idx") return {"image", "label"};
  return {};
}

}  // namespace veomni
