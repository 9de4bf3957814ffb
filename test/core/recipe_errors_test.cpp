// Wrong recipes, one row each (recipe_rows.h). To add a row is to add a line.
#include "recipe_rows.h"

using namespace veomni;
using test::check_rows;
using test::config_error;
using test::omni_recipe;
using test::Row;

namespace {

const std::vector<Row> kWrongKeys{
    {R"("steps": 300)", R"("stepz": 300)", R"("stepz")",
     "train.stepz: unknown key; did you mean 'steps'?"},
    {R"("seed": 7)", R"("sede": 7)", R"("sede")", "sede: unknown key; did you mean 'seed'?"},
    {R"("seed": 7)", R"("banana": 7)", R"("banana")", "banana: unknown key; known: "},
    {R"("lr": 2e-3)", R"("lrr": 2e-3)", R"("lrr")",
     "train.optimizer.lrr: unknown key; did you mean 'lr'?"},
    {R"("warmup": 20)", R"("warm": 20)", R"("warm")",
     "train.schedule.warm: unknown key; did you mean 'warmup'?"},
    {R"("hidden_size": 128)", R"("hidden": 128)", R"("hidden")", "model.base.hidden: unknown key"},
    {R"("patch_size": 7)", R"("patchsize": 7)", R"("patchsize")",
     "photo.patchsize: unknown key; did you mean 'patch_size'?"},
    {R"("learn": true)", R"("lern": true)", R"("lern")",
     "data.sources.0.sample.0.lern: unknown key; did you mean 'learn'?"},
    {R"("every": 50)", R"("evry": 50)", R"("evry")",
     "eval.evry: unknown key; did you mean 'every'?"},
    {R"("rows": 1000)", R"("rows": 1000, "size": 3)", R"("size")",
     "model.tables.zip.size: unknown key"},
    {R"("lr": 2e-3)", R"("lr": 2e-3, "momentum": 0.9)", R"("momentum")",
     "has no effect with type 'adamw'; remove it, or choose 'sgd'"},
    {R"("type": "adamw")", R"("type": "sgd", "eps": 1e-8)", R"("eps")",
     "has no effect with type 'sgd'"},
    {R"("type": "cosine")", R"("type": "constant", "final": 0.1)", R"("final")",
     "has no effect with type 'constant'"},
    {R"("path": "data/book.txt")", R"("path": "data/book.txt", "delimiter": ";")", R"("delimiter")",
     "has no effect with format 'text'; remove it, or choose 'csv'"},
    {R"("packs": 16, )", "", "", "train: missing key 'packs' (packs of one optimizer step"},
    {R"("hidden_size": 128, )", "", "", "model.base: missing key 'hidden_size'"},
    {R"("intermediate_size": 384, )", "", "", "model.base: missing key 'intermediate_size'"},
    {R"("format": "text", )", "", "", "data.sources.0: missing key 'format'"},
    {R"({ "type": "binary" })", R"({ "weight": 1 })", "{", "model.heads.visit: missing key 'type'"},
    {R"("tokenizer": "characters",)", "", "", "missing key 'tokenizer'"},
    {R"("steps": 300, )", "", "", "train: missing key 'steps'"},
    {R"("field": "conversion", )", "", "", "targets.conversion: missing key 'field'"},
    {R"("seed": 7)", R"("seed": 7, "name": "again")", R"("name")",
     "duplicate key 'name', first given at 2:3"},
    {R"("output": "runs/omni")", R"("output": "runs/omni",)", "", "trailing comma"},
};

const std::vector<Row> kWrongValues{
    {R"("steps": 300)", R"("steps": "many")", R"("many")",
     "train.steps: must be an integer, not \"many\""},
    {R"("steps": 300)", R"("steps": 1.5)", "1.5", "train.steps: must be an integer, not 1.5"},
    {R"("steps": 300)", R"("steps": 0)", "0", "train.steps: must be at least 1"},
    {R"("steps": 300)", R"("steps": -3)", "-3", "train.steps: must be at least 1"},
    {R"("steps": 300)", R"("steps": null)", "null", "train.steps: null is not a value"},
    {R"("seed": 7)", R"("seed": 1e300)", "1e300", "seed: too large for an integer"},
    {R"("seed": 7)", R"("seed": true)", "true", "seed: must be an integer, not true"},
    {R"("name": "omni")", R"("name": "")", R"("")", "name: must not be empty"},
    {R"("name": "omni")", R"("name": "a\u0007b")", R"("a)", "name: holds a control character"},
    {R"("name": "omni")", R"("name": "a/b")", R"("a/b")", "name: a name holds no '/'"},
    {R"("learn": true)", R"("learn": "yes")", R"("yes")",
     "learn: must be true or false or a list, not \"yes\""},
    {R"("eval": { "every": 50 })", R"("eval": 50)", "50", "eval: must be an object, not 50"},
    {R"("lr": 2e-3)", R"("lr": -1)", "-1", "train.optimizer.lr: must be at least 0"},
    {R"("lr": 2e-3)", R"("betas": [0.9, 1.0])", "1.0",
     "betas.1: must be at least 0 and less than 1, not 1"},
    {R"("lr": 2e-3)", R"("betas": [0.9])", "[0.9]",
     "betas: must have at least 2 and at most 2 items"},
    {R"("lr": 2e-3)", R"("eps": 0)", "0", "eps: must be greater than 0"},
    {R"("packs": 16)", R"("dropout": 1, "packs": 16)", "1",
     "train.dropout: must be at least 0 and less than 1"},
    {R"("packs": 16)", R"("precision": "fp16", "packs": 16)", R"("fp16")",
     "train.precision: unknown value 'fp16'; known: fp32, bf16"},
    {R"("packs": 16)", R"("device": "gpu", "packs": 16)", R"("gpu")",
     "train.device: unknown value 'gpu'"},
    {R"("packs": 16)", R"("workers": 0, "packs": 16)", "0", "train.workers: must be at least 1"},
    {R"("type": "adamw")", R"("type": "adam")", R"("adam")",
     "train.optimizer.type: unknown type 'adam'; did you mean 'adamw'?"},
    {R"("type": "cosine")", R"("type": "cosin")", R"("cosin")",
     "unknown type 'cosin'; did you mean 'cosine'?"},
    {R"("family": "qwen3")", R"("family": "bloom")", R"("bloom")",
     "model.base.family: unknown family 'bloom'; known: llama, qwen2, qwen3, qwen3_moe"},
    {R"("type": "image")", R"("type": "imge")", R"("imge")",
     "model.encoders.photo.type: unknown type 'imge'; did you mean 'image'?"},
    {R"("type": "revenue")", R"("type": 3)", "3",
     "model.heads.spend.type: must be a string, not 3"},
    {R"("format": "csv")", R"("format": "csvv")", R"("csvv")",
     "data.sources.2.format: unknown format 'csvv'; did you mean 'csv'?"},
    {R"("tokenizer": "characters")", R"("tokenizer": "bpe.json")", R"("bpe.json")",
     "bpe.json; give \"characters\", \"bytes\", or the path of a tokenizer.json"},
    {R"("weight": 0.1)", R"("weight": -0.1)", "-0.1",
     "model.heads.spend.weight: must be at least 0"},
    {R"("weight": 2)", R"("weight": 0)", "0", "data.sources.0.weight: must be greater than 0"},
    {R"("weight": 2)", R"("weight_by": "token")", R"("token")",
     "data.sources.0.weight_by: unknown value 'token'; did you mean 'tokens'?"},
    {R"("weight": 2)", R"("weight_by": "tokens")", R"("tokens")",
     "data.sources.0.weight_by: \"tokens\", but another source says \"samples\"; give all the "
     "same"},
    {R"("patch_size": 7)", R"("patch_size": 0)", "0",
     "model.encoders.photo.patch_size: must be at least 1"},
    {R"("rows": 1000)", R"("rows": 0)", "0", "model.tables.zip.rows: must be at least 1"},
    {R"("hash": "xxh64")", R"("hash": "md5")", R"("md5")",
     "model.tables.zip.hash: unknown value 'md5'"},
    {R"("path": "data/book.txt")", R"("path": 3)", "3",
     "data.sources.0.path: must be a string or a list, not 3"},
    {R"("path": "data/book.txt")", R"("path": [])", "[]",
     "data.sources.0.path: must have at least 1 items"},
    {R"("path": ["data/customers.csv"])", R"("path": "data/customers.csv", "delimiter": "::")",
     R"("::")", "delimiter: must have at least 1 and at most 1 bytes"},
    {R"([0.0, 0.9])", R"([0.0, 1.9])", "1.9", "split.train.1: must be at least 0 and at most 1"},
    {R"([0.0, 0.9])", R"([0.5, 0.5])", "[", "split.train: [0.5, 0.5] is empty"},
    {R"([0.9, 1.0])", R"([0.8, 1.0])", "[", "split.eval: [0.8, 1] overlaps split.train = [0, 0.9]"},
    {R"("sample": [ { "part": "customer" } ])", R"("sample": [])", "[]",
     "sample: must have at least 1 and at most 1024 items"},
};

const std::vector<Row> kWrongReferences{
    {R"("hidden_size": 128)", R"("hidden_size": 126)", "",
     "num_attention_heads: 4 must divide hidden_size = 126"},
    {R"("num_key_value_heads": 2)", R"("num_key_value_heads": 3)", "3",
     "num_key_value_heads: 3 must divide num_attention_heads = 4"},
    {R"("output")", R"("parallel": { "sequence": 3 }, "output")", "3",
     "parallel.sequence: 3 must divide model.base.num_attention_heads = 4; it can be 1, 2, 4"},
    {R"("output")", R"("parallel": { "expert": 2 }, "output")", "2",
     "parallel.expert: 2 ranks would share experts, but the base model has none"},
    {R"("num_key_value_heads": 2)", R"("num_key_value_heads": 2, "head\u0007_dim": 8)", "",
     R"(model.base.head\x07_dim: unknown key; did you mean 'head_dim'?)"},
    {R"("num_key_value_heads": 2)", R"("head_dim": 33)", "33",
     "model.base.head_dim: head_dim is 33"},
    {R"("num_key_value_heads": 2)", R"("num_experts_per_tok": 2)", R"("num_experts_per_tok")",
     "has no effect without num_experts"},
    {R"("num_key_value_heads": 2)", R"("num_experts": 2, "num_experts_per_tok": 3)", "3",
     "num_experts_per_tok: 3 is more than num_experts = 2"},
    {R"("num_key_value_heads": 2)", R"("num_experts": 2)", "",
     "model.base: missing key 'num_experts_per_tok'"},
    {R"("num_key_value_heads": 2)", R"("balance": "pack")", R"("balance")",
     "balance: has no effect without num_experts"},
    {R"("table": "zip")", R"("table": "zap")", R"("zap")",
     "columns.zip_code.table: no table 'zap' in model.tables; did you mean 'zip'?"},
    {R"(, "zip_code": { "table": "zip" })", "", "", "model.tables.zip: no column uses this table"},
    {R"("given": "visit")", R"("given": "vist")", R"("vist")",
     "model.heads.conversion.given: no head 'vist' in model.heads; did you mean 'visit'?"},
    {R"("given": "visit")", R"("given": "spend")", R"("spend")",
     "given: 'spend' is of type 'revenue'; give a binary head"},
    {R"("given": "visit")", R"("given": "conversion")", R"("conversion")",
     "given: heads are given in a circle"},
    {R"("weight": 0.1)", R"("given": "visit")", R"("given")",
     "only binary heads have a parent; 'spend' is of type 'revenue'"},
    {R"("part": "photo")", R"("part": "foto")", R"("foto")",
     "sample.0.part: no encoder 'foto' in model.encoders; did you mean 'photo'?"},
    {R"({ "part": "photo", "field": "image" })", R"({ "part": "photo" })", "{",
     "sample.0: missing key 'field'"},
    {R"({ "part": "customer" })", R"({ "part": "customer", "field": "age" })", R"("field")",
     "'customer' names its own columns"},
    {R"("field": "image")", R"("field": "image", "learn": true)", "true",
     "learn: only text segments learn"},
    {R"("field": "image")", R"("field": "pixels")", R"("pixels")",
     "format 'idx' has no field 'pixels'; known: image, label"},
    {R"("field": "text")", R"("field": "body")", R"("body")", "format 'text' has no field 'body'"},
    {R"("label": "label")", R"("lable": "label")", R"("lable")",
     "targets.lable: no head 'lable' in model.heads; did you mean 'label'?"},
    {R"("label": "label")", R"("label": "class")", R"("class")",
     "targets.label: format 'idx' has no field 'class'"},
    {R"("spend": "spend")", R"("spend": { "field": "spend", "positive": 1 })", R"("positive")",
     "is for binary heads, but 'spend' is of type 'revenue'"},
    {R"("positive": ["yes", 1])", R"("classes": ["a", "b"])", R"("classes")",
     "is for classification heads, but 'conversion' is of type 'binary'"},
    {R"("positive": ["yes", 1])", R"("positive": ["1", 1])", "1]",
     "positive.1: '1' is listed twice"},
    {R"("positive": ["yes", 1])", R"("positive": [[1]])", "[1]",
     "positive.0: must be a text, a number"},
    {R"("label": "label")", R"("label": { "field": "label", "classes": ["a", "b"] })", "[",
     "lists 2 classes, but model.heads.label.classes is 10"},
    {R"("decoders": { "text": { "type": "text" } },)", "", "",
     "learn: learning text needs a decoder"},
    {R"(, "learn": true)", "", "", "data.sources.0: trains nothing"},
    {R"({ "text": { "type": "text" } })",
     R"({ "text": { "type": "text" }, "more": { "type": "text" } })", R"("more")",
     "model.decoders.more: no segment is decoded by it"},
    {R"("photo": { "type")", R"("extra": { "type": "image", "patch_size": 7 }, "photo": { "type")",
     R"("extra")", "model.encoders.extra: no source's sample uses this encoder"},
    {R"("visit": { "type")", R"("extra": { "type": "binary" }, "visit": { "type")", R"("extra")",
     "model.heads.extra: no source's targets give it labels"},
    {R"("spend": { "type": "revenue", "weight": 0.1 })", R"("text": { "type": "revenue" })",
     R"("text")", "model.heads.text: a decoder has this name as well"},
    {R"("photo": { "type": "image")", R"("text": { "type": "image")", R"("text")",
     "model.encoders.text: 'text' stands for the base model's own tokens"},
    {R"("photo": { "type": "image")", R"("a.b": { "type": "image")", R"("a.b")",
     "model.encoders.a.b: a name is made of letters"},
    {R"("name": "pictures")", R"("name": "book")", R"("book")",
     "data.sources.1.name: another source is named 'book' as well"},
    {R"("name": "pictures")", R"("name": "my pictures")", R"("my pictures")",
     "name: a name is made of letters"},
    {R"("group": "zip_code")", R"("header": false)", "", "data.sources.2: missing key 'columns'"},
    {R"("group": "zip_code")", R"("columns": ["a"])", R"("columns")",
     "columns: has no effect: the header names the columns"},
    {R"("group": "zip_code")", R"("header": false, "columns": ["a", "a"])", R"("a"])",
     "columns.1: 'a' is listed twice"},
    {R"("targets": { "label": "label" })", R"("targets": { "label": "label" }, "group": "label")",
     R"("group")", "group: has no effect: no target of this source is a binary head"},
    {R"("weight": 2)", R"("sample_tokens": 2000)", "2000",
     "sample_tokens: 2000 is more than train.pack_tokens = 1024"},
    {R"("weight": 2)", R"("sample_weight": "w")", R"("w")",
     "sample_weight: format 'text' has no field 'w'"},
    {R"("warmup": 20)", R"("warmup": 301)", "301",
     "train.schedule.warmup: 301 steps are more than train.steps = 300"},
    {R"("type": "cosine", "warmup": 20)", R"("type": "wsd", "warmup": 200, "decay": 101)", "200",
     "warmup and decay: 301 steps are more than"},
    {R"("type": "cosine", "warmup": 20)", R"("type": "wsd")", "",
     "train.schedule: missing key 'decay'"},
    {R"("steps": 300)", R"("steps": 300, "epochs": 2)", R"("epochs")",
     "train.epochs: steps decide the length already"},
    {R"("split": { "train": [0.0, 0.9], "eval": [0.9, 1.0] },)", "", "",
     "eval.every: has no effect: no source has split.eval"},
    {R"("every": 50)", R"("samples": 50)", R"("samples")",
     "eval.samples: has no effect without eval.every"},
    {R"({ "type": "revenue", "weight": 0.1 })", R"({ "type": "picky_for_tests", "size": 3 })", "3",
     "model.heads.spend.size: 3 is odd; give an even size"},
};

const std::vector<Row> kNotAvailable{
    {R"("output")", R"("parallel": "auto", "output")", R"("auto")",
     "parallel: \"auto\" is not available in this version; leave parallel out or give its axes"},
    {R"("output")", R"("parallel": { "recompute": "all" }, "output")", R"("all")",
     "parallel.recompute: \"all\" is not available in this version"},
    {R"("output")", R"("parallel": { "tensor": 2 }, "output")", R"("tensor")",
     "parallel.tensor: this key is not available in this version"},
    {R"("output")", R"("parallel": { "shard": 0 }, "output")", "0",
     "parallel.shard: must be at least 1"},
    {R"("tables")", R"("lora": {}, "tables")", R"("lora")",
     "model.lora: this key is not available in this version"},
    {R"("rows": 1000)", R"("rows": 1000, "placement": "rows")", R"("placement")",
     "placement: this key is not available"},
    {R"("steps": 300)", R"("steps": 300, "objectives": [])", R"("objectives")",
     "train.objectives: this key is not available"},
    {R"({ "part": "customer" })", R"({ "part": "customer", "each": "candidates" })", R"("each")",
     "each: this key is not available"},
    {R"("positive": ["yes", 1])", R"("where": {})", R"("where")",
     "where: this key is not available"},
    {R"("weight": 0.1)", R"("mix": {})", R"("mix")",
     "model.heads.spend.mix: this key is not available"},
    {R"([0.0, 0.9])", R"([0.0, 0.9], "by": "time")", R"("by")",
     "split.by: this key is not available"},
};

}  // namespace

TEST_CASE("recipe errors: wrong and missing keys", "[core][recipe]") { check_rows(kWrongKeys); }
TEST_CASE("recipe errors: wrong types and values", "[core][recipe]") { check_rows(kWrongValues); }
TEST_CASE("recipe errors: keys that do not fit one another", "[core][recipe]") {
  check_rows(kWrongReferences);
}
TEST_CASE("recipe errors: what this version does not have is refused by name", "[core][recipe]") {
  check_rows(kNotAvailable);
}

TEST_CASE("recipe errors: overrides name the argument", "[core][recipe]") {
  test::ensure_specs();
  const std::vector<std::pair<std::string, std::string>> rows{
      {"train.stepz=3",
       "argument 'train.stepz=3': train.stepz: unknown key; did you mean 'steps'?"},
      {"train.steps=x", "argument 'train.steps=x': train.steps: must be an integer, not \"x\""},
      {"train.steps", "argument 'train.steps': not key=value"},
      {"=3", "argument '=3': not key=value"},
      {"train..steps=3", "argument 'train..steps=3': empty step in the path"},
      {"train.=3", "argument 'train.=3': empty step in the path"},
      {"train.steps.x=3", "argument 'train.steps.x=3': train.steps: 300 holds no keys"},
      {"data.sources.9.weight=3", "data.sources: no item '9'; known: book, pictures, customers"},
      {"data.sources.boook.weight=3", "data.sources: no item 'boook'; did you mean 'book'?"},
      {"eval={\"every\": 1,}", "argument 'eval={\"every\": 1,}':1:13: trailing comma"},
      {"train.optimizer={\"typ\":1}",
       "argument 'train.optimizer={\"typ\":1}': train.optimizer.typ: unknown key"},
      {"train.optimizer={\"lr\":-1}",
       "argument 'train.optimizer={\"lr\":-1}': train.optimizer.lr: must be at least 0"},
      {"data.sources.0.weight=-1",
       "argument 'data.sources.0.weight=-1': data.sources.0.weight: must be greater"},
      {"parallel=auto",
       "argument 'parallel=auto': parallel: \"auto\" is not available in this version"},
      {"checkpoint.keep=0", "argument 'checkpoint.keep=0': checkpoint.keep: must be at least 1"}};
  for (const auto& [argument, expected] : rows) {
    INFO(argument);
    const std::string message =
        config_error([&, a = argument] { parse_recipe(omni_recipe(), "recipe.json", {a}); });
    CHECK_THAT(message, Catch::Contains(expected));
    CHECK(std::count(message.begin(), message.end(), '\n') == 0);
  }
}

TEST_CASE("recipe errors: files and folders that cannot be used", "[core][recipe]") {
  test::ensure_specs();
  const test::RecipeFolder folder;
  const std::string path = folder.write("recipe.json", omni_recipe());
  const std::vector<std::pair<std::string, std::string>> rows{
      {"data.sources.0.path=data/none.txt", "data.sources.0.path: no such file: "},
      {"data.sources.0.path=data/*.txt",
       "patterns are not available in this version; list the files"},
      {"data.sources.0.path=data", "data is a folder; give a file"},
      {"data.sources.0.path=/dev/zero", "/dev/zero is no regular file"},
      {"data.sources.0.path=[\"data/book.txt\", \"b\"]", "data.sources.0.path.1: no such file"},
      {"data.sources.1.labels=data/none.gz", "data.sources.1.labels: no such file"},
      {"data.sources.1.labels=[\"data/labels.gz\", \"data/labels.gz\"]",
       "2 files of labels for 1 of images"},
      {R"(data.sources.1={"name": "p", "format": "images", "path": "data", "images": ["a"], "sample": )"
       R"([{"part": "photo", "field": "image"}], "targets": {"label": "label"}})",
       "data.sources.1.images: has no effect: the path is a folder"},
      {"output=data/book.txt", "output: "},
      {"output=data/book.txt/run", "book.txt is a file, so no run directory can be made there"}};
  const auto before = folder.listing();
  for (const auto& [argument, expected] : rows) {
    INFO(argument);
    const std::string message = config_error([&, a = argument] { read_recipe(path, {a}); });
    CHECK_THAT(message, Catch::Contains(expected));
    CHECK_THAT(message, Catch::StartsWith("argument '" + argument + "': "));
  }
  CHECK(folder.listing() == before);
  CHECK_THAT(config_error([&] { read_recipe(path + "x", {}); }),
             Catch::Contains("recipe.jsonx: no such file"));
}

TEST_CASE("recipe errors: a recipe that is no object, or is cut anywhere, is one line",
          "[core][recipe]") {
  test::ensure_specs();
  CHECK_THAT(config_error([] { parse_recipe("[]", "r.json", {}); }),
             Catch::Contains("a recipe is a JSON object"));
  const std::string text = omni_recipe();
  for (size_t length = 0; length + 3 < text.size(); length += 7) {
    const std::string message =
        config_error([&] { parse_recipe(text.substr(0, length), "r.json", {}); });
    INFO(length);
    CHECK_THAT(message, Catch::StartsWith("r.json:"));
    CHECK(std::count(message.begin(), message.end(), '\n') == 0);
  }
}
