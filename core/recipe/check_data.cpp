#include <set>

#include "core/error.h"
#include "core/recipe/checks.h"
#include "core/recipe/resolve.h"
#include "core/recipe/table.h"
#include "core/suggest.h"

namespace veomni {

namespace {

using Kind = SpecRegistry::Kind;

/// What the sources use of the model, to find parts that nothing uses.
struct Usage {
  std::set<std::string> encoders, heads;
  bool text = false, ids = false, learn = false;  ///< text to be made tokens; tokens as they are
};

class SourceCheck {
 public:
  SourceCheck(const Recipe& recipe, const Document& document, size_t index)
      : recipe_(recipe),
        document_(document),
        source_(recipe.sources[index]),
        path_{"data", "sources", std::to_string(index)},
        fields_(format_fields(source_.format)) {}

  void run(Usage& usage) const {
    check_name();
    check_split();
    check_conversations(recipe_, source_, path_, document_);
    for (size_t i = 0; i < source_.sample.size(); ++i) check_segment(i, usage);
    for (const TargetConfig& target : source_.targets) check_target(target, usage);
    check_columns();
    check_format();
    const bool learns = std::any_of(source_.sample.begin(), source_.sample.end(),
                                    [](const SegmentConfig& segment) { return segment.learn; });
    if (!learns && source_.targets.empty()) {
      document_.fail_value(path_,
                           "trains nothing; give targets, or \"learn\": true on a text segment");
    }
  }

 private:
  [[noreturn]] void fail(const Path& path, const std::string& message) const {
    document_.fail_value(path, message);
  }
  Path at(const std::string& key) const { return child(path_, key); }

  void check_name() const {
    if (!is_plain_name(source_.name)) {
      fail(at("name"), "a name is made of letters, digits, '_' and '-'; rename it");
    }
    for (const SourceConfig& other : recipe_.sources) {
      if (&other == &source_) return;
      if (other.name == source_.name) {
        fail(at("name"),
             fmt::format("another source is named '{}' as well; rename one", source_.name));
      }
    }
  }

  void check_range(const Range& range, const char* name) const {
    if (range.begin < range.end) return;
    fail(child(at("split"), name),
         fmt::format("[{}, {}] is empty; the first must be less than the second", range.begin,
                     range.end));
  }

  void check_split() const {
    check_range(source_.train, "train");
    if (!source_.eval) return;
    check_range(*source_.eval, "eval");
    if (source_.eval->begin < source_.train.end && source_.train.begin < source_.eval->end) {
      fail(child(at("split"), "eval"),
           fmt::format(
               "[{}, {}] overlaps split.train = [{}, {}]; held-back samples must not be trained on",
               source_.eval->begin, source_.eval->end, source_.train.begin, source_.train.end));
    }
  }

  void check_field(const Path& path, const std::string& field) const {
    if (fields_.empty() || std::find(fields_.begin(), fields_.end(), field) != fields_.end())
      return;
    fail(path, fmt::format("format '{}' has no field '{}'{}", source_.format, field,
                           did_you_mean(field, fields_)));
  }

  void check_segment(size_t index, Usage& usage) const {
    const SegmentConfig& segment = source_.sample[index];
    const Path path = child(at("sample"), std::to_string(index));
    if (segment.part == "text") {
      (source_.format == "tokens" ? usage.ids : usage.text) = true;
      usage.learn = usage.learn || segment.learn;
      if (segment.learn && !find_part(recipe_.decoders, "text")) {
        fail(child(path, "learn"),
             "learning text needs a decoder; add \"text\": { \"type\": \"text\" } to "
             "model.decoders");
      }
      return check_field(child(path, "field"), segment.field);
    }
    const PartConfig* encoder = find_part(recipe_.encoders, segment.part);
    if (!encoder) {
      auto known = part_names(recipe_.encoders);
      known.push_back("text");
      fail(child(path, "part"), fmt::format("no encoder '{}' in model.encoders{}", segment.part,
                                            did_you_mean(segment.part, known)));
    }
    usage.encoders.insert(segment.part);
    if (segment.learn) fail(child(path, "learn"), "only text segments learn; remove it");
    const std::optional<bool> takes_field = spec_of(Kind::encoder, *encoder).takes_field;
    if (segment.field.empty()) {
      if (takes_field == true) fail(path, "missing key 'field' (column or field it reads)");
      return;
    }
    if (takes_field == false) {
      document_.fail_key(child(path, "field"),
                         fmt::format("'{}' names its own columns; remove it", segment.part));
    }
    check_field(child(path, "field"), segment.field);
  }

  void check_target(const TargetConfig& target, Usage& usage) const {
    const Path path = child(at("targets"), target.head);
    const PartConfig* head = find_part(recipe_.heads, target.head);
    if (!head) {
      document_.fail_key(path, fmt::format("no head '{}' in model.heads{}", target.head,
                                           did_you_mean(target.head, part_names(recipe_.heads))));
    }
    usage.heads.insert(target.head);
    check_field(path, target.field);
    check_option(path, target, *head, "positive", "binary");
    check_option(path, target, *head, "classes", "classification");
    if (target.keys.contains("positive"))
      check_cells(child(path, "positive"), target.keys["positive"]);
    if (!target.keys.contains("classes")) return;
    const Json& classes = target.keys["classes"];
    check_cells(child(path, "classes"), classes);
    const Json wanted = head->keys.value("classes", Json(nullptr));
    if (wanted.is_number_integer() &&
        wanted.get<int64_t>() != static_cast<int64_t>(classes.size())) {
      fail(child(path, "classes"),
           fmt::format("lists {} classes, but model.heads.{}.classes is {}; make them equal",
                       classes.size(), target.head, wanted.get<int64_t>()));
    }
  }

  void check_option(const Path& path, const TargetConfig& target, const PartConfig& head,
                    const char* option, const char* type) const {
    if (!target.keys.contains(option) || head.type == type) return;
    document_.fail_key(child(path, option),
                       fmt::format("is for {} heads, but '{}' is of type '{}'; remove it", type,
                                   head.name, head.type));
  }

  /// Cells are compared by their text, so two spellings of the same cell are a mistake.
  void check_cells(const Path& path, const Json& cells) const {
    if (!cells.is_array()) return;
    std::set<std::string> seen;
    for (size_t i = 0; i < cells.size(); ++i) {
      const Json& cell = cells[i];
      const Path here = child(path, std::to_string(i));
      if (!cell.is_string() && !cell.is_number() && !cell.is_boolean()) {
        fail(here,
             fmt::format("must be a text, a number, true or false, not {}", json_excerpt(cell)));
      }
      const std::string text = cell.is_string() ? cell.get<std::string>() : cell.dump();
      if (!seen.insert(text).second)
        fail(here, fmt::format("'{}' is listed twice; remove one", text));
    }
  }

  void check_columns() const {
    if (!source_.sample_weight.empty()) check_field(at("sample_weight"), source_.sample_weight);
    if (source_.group.empty()) return;
    check_field(at("group"), source_.group);
    const bool binary = std::any_of(
        source_.targets.begin(), source_.targets.end(), [&](const TargetConfig& target) {
          return find_part(recipe_.heads, target.head)->type == "binary";
        });
    if (!binary)
      document_.fail_key(at("group"),
                         "has no effect: no target of this source is a binary head; remove it");
  }

  void check_format() const {
    const Json& keys = source_.keys;
    if (source_.format == "text" &&
        keys["sample_tokens"].get<int64_t>() > recipe_.train.pack_tokens) {
      fail(at("sample_tokens"),
           fmt::format("{} is more than train.pack_tokens = {}; a window must fit a pack",
                       keys["sample_tokens"].get<int64_t>(), recipe_.train.pack_tokens));
    }
    if (source_.format == "csv") check_csv(keys);
    if (source_.format == "idx" && keys.contains("labels")) {
      const size_t labels = keys["labels"].is_string() ? 1 : keys["labels"].size();
      if (labels != source_.paths.size()) {
        fail(at("labels"), fmt::format("{} files of labels for {} of images; give one for each",
                                       labels, source_.paths.size()));
      }
    }
  }

  void check_csv(const Json& keys) const {
    const bool header = keys["header"].get<bool>();
    if (header && keys.contains("columns")) {
      document_.fail_key(
          at("columns"),
          "has no effect: the header names the columns; remove it, or give \"header\": false");
    }
    if (!header && !keys.contains("columns"))
      fail(path_, "missing key 'columns' (names of the columns when there is no header)");
    const std::string delimiter = keys["delimiter"];
    if (delimiter == "\"")
      fail(at("delimiter"), "a quote cannot separate columns; give another character");
    if (header) return;
    std::set<std::string> seen;
    for (size_t i = 0; i < keys["columns"].size(); ++i) {
      const std::string column = keys["columns"][i];
      if (column.empty() || !seen.insert(column).second) {
        fail(child(at("columns"), std::to_string(i)),
             fmt::format("'{}' is {}; every column needs a name of its own", column,
                         column.empty() ? "empty" : "listed twice"));
      }
    }
  }

  const Recipe& recipe_;
  const Document& document_;
  const SourceConfig& source_;
  Path path_;
  std::vector<std::string> fields_;
};

void check_text(const Recipe& recipe, const Document& document, const Usage& usage) {
  if (usage.text && recipe.tokenizer.empty()) {
    document.fail_value({},
                        recipe.from.empty()
                            ? "missing key 'tokenizer' (how text becomes tokens); give "
                              "\"characters\", \"bytes\" or a path"
                            : "missing key 'tokenizer' (how text becomes tokens): model.from holds "
                              "neither tokenizer.json nor tokenizer.model; give a path");
  }
  if (!usage.text && !recipe.tokenizer.empty()) {
    document.fail_key({"tokenizer"},
                      "has no effect: no sample has a text segment that it encodes; remove it");
  }
  const int64_t vocab = recipe.base.vocab_size;
  if (usage.ids && vocab == 0) {
    document.fail_value(
        {"model", "base"},
        "missing key 'vocab_size' (how many ids there are); format 'tokens' does not say");
  }
  if (!usage.text && !usage.ids && vocab != 0) {
    document.fail_key({"model", "base", "vocab_size"},
                      "has no effect: no sample has a text segment; remove it");
  }
  if (recipe.tokenizer == "bytes" && vocab != 0 && vocab < 256) {
    document.fail_value(
        {"model", "base", "vocab_size"},
        fmt::format("{} is less than the 256 bytes; raise it or leave it out", vocab));
  }
}

void check_unused(const Recipe& recipe, const Document& document, const Usage& usage) {
  for (const PartConfig& encoder : recipe.encoders) {
    if (usage.encoders.count(encoder.name) > 0) continue;
    // The vision encoder of model.from is a part of that model: it is exported with it.
    if (!recipe.from.empty() && encoder.keys.value("from", std::string()) == recipe.from) continue;
    document.fail_key({"model", "encoders", encoder.name},
                      "no source's sample uses this encoder; use it or remove it");
  }
  for (const PartConfig& decoder : recipe.decoders) {
    if (decoder.name == "text" && usage.learn) continue;
    document.fail_key({"model", "decoders", decoder.name},
                      decoder.name == "text"
                          ? "no text segment has \"learn\": true; add it or remove the decoder"
                          : "no segment is decoded by it; only the decoder named 'text' is used");
  }
  for (const PartConfig& head : recipe.heads) {
    if (usage.heads.count(head.name) > 0) continue;
    document.fail_key({"model", "heads", head.name},
                      "no source's targets give it labels; add them or remove the head");
  }
}

/// Weights of samples and of tokens cannot be compared.
void check_weight_by(const Recipe& recipe, const Document& document) {
  const auto first = [&](bool tokens) {
    return std::find_if(
        recipe.sources.begin(), recipe.sources.end(), [&](const SourceConfig& source) {
          return (source.keys.at("weight_by").get_ref<const std::string&>() == "tokens") == tokens;
        });
  };
  const auto by_tokens = first(true), other = first(false), end = recipe.sources.end();
  if (by_tokens == end || other == end) return;
  document.fail_value(
      {"data", "sources", std::to_string(by_tokens - recipe.sources.begin()), "weight_by"},
      fmt::format("\"tokens\", but another source says \"{}\"; give all the same",
                  other->keys.at("weight_by").get_ref<const std::string&>()));
}

}  // namespace

void check_data(const Recipe& recipe, const Document& document) {
  Usage usage;
  for (size_t i = 0; i < recipe.sources.size(); ++i) SourceCheck(recipe, document, i).run(usage);
  check_weight_by(recipe, document);
  check_text(recipe, document, usage);
  check_unused(recipe, document, usage);
}

}  // namespace veomni
