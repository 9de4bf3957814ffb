#include "core/tokenizer/normalizer.h"

#include "core/data/text.h"
#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

using Made = std::unique_ptr<Normalizer>;

/// Calls `visit(code, out)` for each code point and takes `out` for the new text.
template <class Visit>
void map_code_points(std::string& text, const Visit& visit) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) visit(read_code_point(text, at), out);
  text.swap(out);
}

template <class Function>
class SimpleNormalizer : public Normalizer {
 public:
  explicit SimpleNormalizer(Function function) : function_(std::move(function)) {}
  void apply(std::string& text, Workspace& work) const override { function_(text, work); }

 private:
  Function function_;
};

template <class Function>
Made simple(Function function) {
  return std::make_unique<SimpleNormalizer<Function>>(std::move(function));
}

Made unicode_form(NormalForm form) {
  return simple([form](std::string& text, Workspace&) { text = normalize_unicode(text, form); });
}

void lower_case(std::string& text) {
  map_code_points(text, [](int32_t code, std::string& out) { append_lower_case(code, out); });
}

template <class Drop>
void drop_code_points(std::string& text, const Drop& drop) {
  map_code_points(text, [&](int32_t code, std::string& out) {
    if (!drop(code)) append_utf8(code, out);
  });
}

void clean(std::string& text) {  // controls go, and every white space is ' '
  map_code_points(text, [](int32_t code, std::string& out) {
    const bool space = code == '\t' || code == '\n' || code == '\r';
    if (!space && (code == 0 || code == 0xFFFD || is_control_or_other(code))) return;
    append_utf8(space || is_white_space(code) ? ' ' : code, out);
  });
}

void separate_chinese(std::string& text) {
  map_code_points(text, [](int32_t code, std::string& out) {
    const bool chinese = is_chinese_character(code);
    if (chinese) out += ' ';
    append_utf8(code, out);
    if (chinese) out += ' ';
  });
}

Made make_bert(Component& json) {
  const bool cleaned = json.flag("clean_text", true);
  const bool chinese = json.flag("handle_chinese_chars", true);
  const bool lower = json.flag("lowercase", true);
  const bool accents = json.flag("strip_accents", lower);  // null: as lowercase
  return simple([=](std::string& text, Workspace&) {
    if (cleaned) clean(text);
    if (chinese) separate_chinese(text);
    if (accents) {
      text = normalize_unicode(text, NormalForm::nfd);
      drop_code_points(text, is_nonspacing_mark);
    }
    if (lower) lower_case(text);
  });
}

Made make_strip(Component& json) {
  const bool left = json.flag("strip_left", true), right = json.flag("strip_right", true);
  return simple([=](std::string& text, Workspace&) {
    size_t begin = 0, end = 0;
    bool inside = false;
    for (size_t at = 0; at < text.size();) {
      const size_t start = at;
      if (is_white_space(read_code_point(text, at))) continue;
      if (!inside) begin = start, inside = true;
      end = at;
    }
    if (!right) end = text.size();
    if (!inside && left) begin = text.size();
    text = text.substr(left ? begin : 0, std::max(end, left ? begin : 0) - (left ? begin : 0));
  });
}

Made make_prepend(Component& json) {
  return simple([prefix = json.text("prepend")](std::string& text, Workspace&) {
    if (!text.empty()) text.insert(0, prefix);
  });
}

Made make_replace(Component& json) {
  std::shared_ptr<const Regex> pattern = make_pattern(json, "pattern");
  return simple([pattern, content = json.text("content")](std::string& text, Workspace& work) {
    if (pattern) replace_all(text, *pattern, content, work.regex);
  });
}

Made make_precompiled(Component& json) {
  const std::string where = json.at("precompiled_charsmap");
  const std::string bytes = decode_base64(json.text("precompiled_charsmap"), where);
  const auto map = std::make_shared<const Charsmap>(bytes, where);
  return simple([map](std::string& text, Workspace&) { apply_charsmap_to_graphemes(*map, text); });
}

/// What SentencePiece calls nmt: controls go, rare spaces become ' ' (tokenizers' normalizer Nmt).
void apply_nmt(std::string& text) {
  const auto dropped = [](int32_t c) {
    return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F;
  };
  const auto space = [](int32_t c) {
    return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xFEFF || c == 0xFFFD;
  };
  map_code_points(text, [&](int32_t code, std::string& out) {
    if (!dropped(code)) append_utf8(space(code) ? ' ' : code, out);
  });
}

Made make_sequence(Component& json) {
  std::vector<std::shared_ptr<Normalizer>> parts;
  const FileJson& list = json.array("normalizers");
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("{}.{}", json.at("normalizers"), i);
    if (list[i].is_null()) json.refuse(fmt::format("normalizers.{} is null", i), "remove it");
    parts.push_back(make_normalizer(list[i], where));
  }
  return simple([parts](std::string& text, Workspace& work) {
    for (const auto& part : parts) part->apply(text, work);
  });
}

Made make_known(const std::string& type, Component& json) {
  if (type == "NFC") return unicode_form(NormalForm::nfc);
  if (type == "NFD") return unicode_form(NormalForm::nfd);
  if (type == "NFKC") return unicode_form(NormalForm::nfkc);
  if (type == "NFKD") return unicode_form(NormalForm::nfkd);
  if (type == "Lowercase") return simple([](std::string& text, Workspace&) { lower_case(text); });
  if (type == "StripAccents")
    return simple([](std::string& text, Workspace&) { drop_code_points(text, is_mark); });
  if (type == "BertNormalizer") return make_bert(json);
  if (type == "Replace") return make_replace(json);
  if (type == "Prepend") return make_prepend(json);
  if (type == "Strip") return make_strip(json);
  if (type == "ByteLevel")
    return simple([](std::string& text, Workspace&) {
      std::string out;
      append_byte_characters(text, out);
      text.swap(out);
    });
  if (type == "Precompiled") return make_precompiled(json);
  if (type == "Nmt") return simple([](std::string& text, Workspace&) { apply_nmt(text); });
  if (type == "Sequence") return make_sequence(json);
  json.refuse_type("normalizer", type,
                   "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, BertNormalizer, Replace, "
                   "Prepend, Strip, ByteLevel, Precompiled, Nmt, Sequence");
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const FileJson& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  Component component(json, where);
  auto made = make_known(component.text("type"), component);
  component.finish();
  return made;
}

std::unique_ptr<Normalizer> make_charsmap_normalizer(std::string_view rules,
                                                     const std::string& where,
                                                     std::unique_ptr<Normalizer> rest) {
  const auto map = std::make_shared<const Charsmap>(rules, where);
  return simple([map, then = std::shared_ptr<Normalizer>(std::move(rest))](std::string& text,
                                                                           Workspace& work) {
    apply_charsmap(*map, text);
    then->apply(text, work);
  });
}

std::unique_ptr<Regex> make_pattern(Component& component, const std::string& key) {
  Component pattern(component.any(key), component.at(key));
  const bool literal = pattern.has("String");
  const std::string text = pattern.text(literal ? "String" : "Regex");
  pattern.finish();
  if (literal && text.empty()) return nullptr;
  return std::make_unique<Regex>(literal ? Regex::literal(text, pattern.where())
                                         : Regex(text, pattern.where()));
}

void replace_all(std::string& text, const Regex& pattern, const std::string& content,
                 RegexScratch& scratch) {
  size_t begin = 0, end = 0, from = 0;
  if (!pattern.find(text, 0, begin, end, scratch)) return;
  std::string out;
  out.reserve(text.size());
  do {
    out.append(text, from, begin - from).append(content);
    from = end;
  } while (from < text.size() && pattern.find(text, from, begin, end, scratch));
  out.append(text, from);
  text.swap(out);
}

}  // namespace veomni
