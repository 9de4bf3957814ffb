#include "core/tokenizer/post_processor.h"

#include "core/data/text.h"
#include "core/tokenizer/token_model.h"

namespace veomni {
namespace {

int64_t id_of(const FileJson& value, const Component& json) {
  const bool fits = value.is_number_unsigned() &&
                    value.get<uint64_t>() < static_cast<uint64_t>(TokenTable::kMostIds);
  if (!fits) json.refuse("a token's id is no number of a token", "correct it");
  return value.get<int64_t>();
}

/// The ids of the special token `name` in the table of a template.
std::vector<int64_t> special_ids(Component& json, const std::string& name) {
  Component table(json.any("special_tokens"), json.at("special_tokens"));
  if (!table.has(name))
    json.refuse(fmt::format("special_tokens lacks '{}'", shown(name)), "add it");
  Component entry(table.any(name), table.at(name));
  entry.ignore("id"), entry.ignore("tokens");
  std::vector<int64_t> ids;
  for (const FileJson& id : entry.array("ids")) ids.push_back(id_of(id, entry));
  entry.finish();
  return ids;
}

SpecialTokensAround read_template(Component& json) {
  SpecialTokensAround around;
  json.ignore("pair"), json.ignore("special_tokens");
  bool text_seen = false;
  const FileJson& pieces = json.array("single");
  for (size_t i = 0; i < pieces.size(); ++i) {
    Component piece(pieces[i], fmt::format("{}.{}", json.at("single"), i));
    const bool is_text = piece.has("Sequence");
    const char* key = is_text ? "Sequence" : "SpecialToken";
    Component named(piece.any(key), piece.at(key));
    piece.finish();
    const std::string id = named.text("id");
    named.ignore("type_id");
    named.finish();
    if (is_text) {
      if (id != "A" || text_seen) piece.refuse("single holds more than the text A", "keep one A");
      text_seen = true;
      continue;
    }
    const auto ids = special_ids(json, id);
    auto& side = text_seen ? around.after : around.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!text_seen) json.refuse("single lacks the text A", "add {\"Sequence\": {\"id\": \"A\"}}");
  return around;
}

int64_t named_id(Component& json, const std::string& key) {  // ["[SEP]", 102]
  const FileJson& pair = json.array(key);
  if (pair.size() != 2 || !pair[0].is_string())
    json.refuse(key + " is no pair of token and id", "give one");
  return id_of(pair[1], json);
}

SpecialTokensAround read_sequence(Component& json) {
  SpecialTokensAround all;
  const FileJson& list = json.array("processors");
  for (size_t i = 0; i < list.size(); ++i) {
    const auto part = read_post_processor(list[i], fmt::format("{}.{}", json.at("processors"), i));
    all.before.insert(all.before.begin(), part.before.begin(), part.before.end());
    all.after.insert(all.after.end(), part.after.begin(), part.after.end());
  }
  return all;
}

}  // namespace

SpecialTokensAround read_post_processor(const FileJson& json, const std::string& where) {
  if (json.is_null()) return {};
  Component component(json, where);
  SpecialTokensAround around;
  const std::string type = component.text("type");
  if (type == "TemplateProcessing") {
    around = read_template(component);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    around = {{named_id(component, "cls")}, {named_id(component, "sep")}};
    component.ignore("trim_offsets"), component.ignore("add_prefix_space");
  } else if (type == "ByteLevel") {  // it only moves offsets
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) component.ignore(key);
  } else if (type == "Sequence") {
    around = read_sequence(component);
  } else {
    component.refuse_type("post-processor", type,
                          "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, "
                          "Sequence");
  }
  component.finish();
  return around;
}

}  // namespace veomni
