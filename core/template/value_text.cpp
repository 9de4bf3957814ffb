// Values as text: Python's str, repr and json.dumps.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/template/characters.h"
#include "core/template/value.h"

namespace veomni::jinja {
namespace {

using Kind = Value::Kind;

void append_quoted(std::string_view text, std::string& out) {
  const bool single =
      text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  out += quote;
  for (size_t i = 0, start = 0; i < text.size(); start = i) {
    const int32_t code = code_at(text, i);
    if (code == quote || code == '\\')
      out.append({'\\', static_cast<char>(code)});
    else if (code == '\n' || code == '\r' || code == '\t')
      out += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    else if (is_printable(code))
      out.append(text.substr(start, i - start));
    else
      out += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
  }
  out += quote;
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Heap& heap) : style_(style), heap_(heap) {}

  void write(const Value& value, size_t level) {
    heap_.work(8);
    switch (value.kind) {
      case Kind::none:
        out_ += "null";
        break;
      case Kind::boolean:
        out_ += value.boolean ? "true" : "false";
        break;
      case Kind::integer:
        out_ += std::to_string(value.integer);
        break;
      case Kind::real:
        out_ += number(value.real);
        break;
      case Kind::text:
        write_text(value.text->text);
        break;
      case Kind::sequence:
        if (value.sequence->style > Sequence::Style::tuple) refuse(value);
        write_list(value.sequence->items, level);
        break;
      case Kind::mapping:
        write_mapping(*value.mapping, level);
        break;
      default:
        refuse(value);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  [[noreturn]] static void refuse(const Value& value) {
    problem("'{}' cannot be written as JSON", type_name(value));
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return real_text(value);
  }

  void line(size_t level) {
    if (!style_.indented) return;
    heap_.take(style_.indent.size() * level + 1);
    out_ += '\n';
    for (size_t i = 0; i < level; ++i) out_ += style_.indent;
  }

  /// What stands before item `i` of a list or mapping at this level.
  void separate(size_t i, size_t level) {
    heap_.take(style_.item_separator.size());
    if (i > 0) out_ += style_.item_separator;
    line(level + 1);
  }

  void write_escape(int32_t code) {
    constexpr std::string_view kCodes = "\"\\\n\r\t\b\f", kNames = "\"\\nrtbf";
    if (const auto found = code < 0x80 ? kCodes.find(static_cast<char>(code)) : kCodes.npos;
        found != kCodes.npos) {
      out_.append({'\\', kNames[found]});
    } else if (code > 0xFFFF) {
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10),
                          0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
      out_ += fmt::format("\\u{:04x}", code);
    }
  }

  void write_text(const std::string& text) {
    heap_.take(text.size());
    out_ += '"';
    for (size_t i = 0, start = 0; i < text.size(); start = i) {
      const int32_t code = code_at(text, i);
      if (code < 0x20 || code == '"' || code == '\\' || (style_.ascii && code > 0x7E))
        write_escape(code);
      else
        out_.append(text, start, i - start);
    }
    out_ += '"';
  }

  void write_list(const std::vector<Value>& items, size_t level) {
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      separate(i, level);
      write(items[i], level + 1);
    }
    if (!items.empty()) line(level);
    out_ += ']';
  }

  void write_key(const Value& key) {
    if (key.is(Kind::text)) return write_text(key.text->text);
    if (key.kind > Kind::text || key.is(Kind::undefined)) refuse(key);
    out_ += '"';
    write(key, 0);
    out_ += '"';
  }

  void write_mapping(const Mapping& mapping, size_t level) {
    auto items = mapping.items;
    if (style_.sort_keys)
      std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
        return compare(a.first, b.first, heap_) < 0;
      });
    out_ += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      separate(i, level);
      write_key(items[i].first);
      heap_.take(style_.key_separator.size());
      out_ += style_.key_separator;
      write(items[i].second, level + 1);
    }
    if (!items.empty()) line(level);
    out_ += '}';
  }

  const JsonStyle& style_;
  Heap& heap_;
  std::string out_;
};

void append_items(const Value& value, std::string& out, Heap& heap) {
  const Sequence& sequence = *value.sequence;
  if (sequence.style > Sequence::Style::tuple)
    problem("'{}' has no text; use 'list' on it", type_name(value));
  const bool tuple = sequence.style == Sequence::Style::tuple;
  out += tuple ? '(' : '[';
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(sequence.items[i], out, heap);
  }
  if (tuple && sequence.items.size() == 1) out += ',';
  out += tuple ? ')' : ']';
}

}  // namespace

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char digits[32];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  std::string_view all(digits, static_cast<size_t>(end - digits));
  const size_t e = all.find('e');
  int exponent = 0;
  std::from_chars(all.data() + e + (all[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16)
    return std::string(all.substr(0, e)) +
           fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  char fixed[64];
  const auto stop = std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed).ptr;
  std::string text(fixed, static_cast<size_t>(stop - fixed));
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

void append_repr(const Value& value, std::string& out, Heap& heap) {
  heap.work(8);
  switch (value.kind) {
    case Kind::undefined:
      out += "Undefined";
      return;
    case Kind::text:
      heap.take(value.text->text.size());
      if (value.text->safe) problem("repr of the result of 'safe' is not supported");
      return append_quoted(value.text->text, out);
    case Kind::sequence:
      return append_items(value, out, heap);
    case Kind::mapping: {
      out += '{';
      for (size_t i = 0; i < value.mapping->items.size(); ++i) {
        if (i > 0) out += ", ";
        append_repr(value.mapping->items[i].first, out, heap);
        out += ": ";
        append_repr(value.mapping->items[i].second, out, heap);
      }
      out += '}';
      return;
    }
    default:
      append_text(value, out, heap);
  }
}

void append_text(const Value& value, std::string& out, Heap& heap) {
  switch (value.kind) {
    case Kind::undefined:
      return;
    case Kind::none:
      out += "None";
      return;
    case Kind::boolean:
      out += value.boolean ? "True" : "False";
      return;
    case Kind::integer:
      out += std::to_string(value.integer);
      return;
    case Kind::real:
      out += real_text(value.real);
      return;
    case Kind::text:
      heap.take(value.text->text.size());
      out += value.text->text;
      return;
    case Kind::sequence:
    case Kind::mapping:
      return append_repr(value, out, heap);
    case Kind::object:
      problem("'{}' has no text", type_name(value));
  }
}

std::string to_text(const Value& value, Heap& heap) {
  std::string out;
  append_text(value, out, heap);
  return out;
}

std::string json_text(const Value& value, const JsonStyle& style, Heap& heap) {
  JsonWriter writer(style, heap);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace veomni::jinja
