#include "core/json.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {

namespace {

/// Walks the text beside the parser, token by token, so that every event finds the place where its
/// token starts.
class Follower {
 public:
  explicit Follower(std::string_view text) : text_(text) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") offset_ = 3;  // a byte order mark takes no column
  }

  /// Skips white space, comments and at most one ',' or ':' (kept in `separator`).
  /// False at a block comment, which the parser would let pass.
  bool skip() {
    separator_ = 0;
    for (; offset_ < text_.size(); advance()) {
      const char c = text_[offset_];
      if (c == '/') {
        if (text_.substr(offset_, 2) != "//") return false;
        while (offset_ + 1 < text_.size() && text_[offset_ + 1] != '\n') advance();
      } else if ((c == ',' || c == ':') && separator_ == 0) {
        separator_ = c;
      } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        break;
      }
    }
    return true;
  }

  /// Moves behind the token that starts here.
  void consume() {
    const char first = text_[offset_];
    advance();
    if (first == '"') {
      while (offset_ < text_.size() && text_[offset_] != '"') {
        if (text_[offset_] == '\\') advance();
        advance();
      }
      advance();
    } else if (std::string_view("{}[]").find(first) == std::string_view::npos) {
      constexpr std::string_view kEnds = " \t\r\n,:{}[]\"/";
      while (offset_ < text_.size() && kEnds.find(text_[offset_]) == std::string_view::npos)
        advance();
    }
  }

  void advance_to(size_t offset) {
    while (offset_ < offset && offset_ < text_.size()) advance();
  }

  bool at_end() const { return offset_ >= text_.size(); }
  char character() const { return at_end() ? '\0' : text_[offset_]; }
  char separator() const { return separator_; }
  JsonPlace place() const { return place_; }

 private:
  void advance() {
    if (offset_ >= text_.size()) return;
    const auto byte = static_cast<unsigned char>(text_[offset_++]);
    if (byte == '\n') {
      ++place_.line;
      place_.column = 1;
    } else if (offset_ >= text_.size() ||
               (static_cast<unsigned char>(text_[offset_]) & 0xC0U) != 0x80U) {
      ++place_.column;  // counted when the next byte starts a character
    }
  }

  std::string_view text_;
  size_t offset_ = 0;
  JsonPlace place_;
  char separator_ = 0;
};

/// nlohmann's words without its prefix and its excerpt of what was read.
std::string parser_words(const std::string& what) {
  std::string words = what;
  if (const size_t start = words.find(" - "); start != std::string::npos) {
    words = words.substr(start + 3);
  } else if (const size_t bracket = words.find("] "); bracket != std::string::npos) {
    words = words.substr(bracket + 2);
  }
  const size_t read = words.find("; last read:");
  if (read != std::string::npos) words = words.substr(0, read);
  return words;
}

class Handler : public nlohmann::json_sax<Json> {
 public:
  Handler(std::string_view text, const std::string& name) : follower_(text), name_(name) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in JSON texts

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    to_token();
    key_ = name;
    const std::string pointer = json_pointer_child(levels_.back().pointer, name);
    const auto [first, added] = out_.keys.emplace(pointer, follower_.place());
    if (!added) {
      fail(fmt::format("duplicate key '{}', first given at {}:{}; remove one of them", shown(name),
                       first->second.line, first->second.column));
    }
    // Objects that keep the order of their keys look names up one by one.
    if (levels_.back().value->size() >= kJsonKeys) {
      fail(fmt::format("more than {} keys in one object; split it", kJsonKeys));
    }
    follower_.consume();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    to_token();
    const std::string words = parser_words(error.what());
    const char c = follower_.character();
    if (follower_.separator() == ',' && (c == '}' || c == ']')) {
      fail("trailing comma; remove it");
    }
    if (words.find("UTF-8") != std::string::npos && position > 0) {
      follower_.advance_to(position - 1);
      fail("not valid UTF-8; save the file as UTF-8");
    }
    fail("not valid JSON: " + words);
  }

  LocatedJson finish() {
    to_token();
    if (!follower_.at_end()) fail("not valid JSON: text after the end of the value; remove it");
    return std::move(out_);
  }

 private:
  struct Level {
    Json* value;
    std::string pointer;
  };

  void to_token() {
    if (!follower_.skip()) fail("comments start with //; other kinds are not read");
  }

  [[noreturn]] void fail(const std::string& message) const {
    const JsonPlace place = follower_.place();
    throw ConfigError(fmt::format("{}:{}:{}: {}", name_, place.line, place.column, message));
  }

  /// Puts the value into the innermost container and notes its place.
  Level place(Json value) {
    to_token();
    Level level{&out_.value, ""};
    if (levels_.empty()) {
      out_.value = std::move(value);
    } else {
      Json& parent = *levels_.back().value;
      const std::string token = parent.is_array() ? std::to_string(parent.size()) : key_;
      level.pointer = json_pointer_child(levels_.back().pointer, token);
      if (parent.is_array()) {
        parent.push_back(std::move(value));
        level.value = &parent.back();
      } else {
        level.value = &(parent[key_] = std::move(value));
      }
    }
    out_.values.emplace(level.pointer, follower_.place());
    follower_.consume();
    return level;
  }

  template <class Value>
  bool add(Value value) {
    place(Json(std::move(value)));
    return true;
  }

  bool open(Json container) {
    if (levels_.size() >= kJsonDepth) {
      to_token();
      fail(fmt::format("nested deeper than {} levels; flatten it", kJsonDepth));
    }
    levels_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    to_token();
    follower_.consume();
    levels_.pop_back();
    return true;
  }

  Follower follower_;
  const std::string& name_;
  LocatedJson out_;
  std::vector<Level> levels_;
  std::string key_;
};

}  // namespace

std::string json_pointer_child(const std::string& pointer, const std::string& token) {
  std::string child = pointer + "/";
  for (const char c : token) {
    if (c == '~') {
      child += "~0";
    } else if (c == '/') {
      child += "~1";
    } else {
      child += c;
    }
  }
  return child;
}

LocatedJson parse_located_json(std::string_view text, const std::string& name) {
  require<ConfigError>(text.size() <= kJsonBytes, "{}: {} bytes; at most {} are read", name,
                       text.size(), kJsonBytes);
  Handler handler(text, name);
  Json::sax_parse(text.begin(), text.end(), &handler, nlohmann::detail::input_format_t::json,
                  /*strict=*/true, /*ignore_comments=*/true);
  return handler.finish();
}

std::string read_text_file(const std::string& path, size_t max_bytes) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  require<ConfigError>(status.type() != fs::file_type::not_found,
                       "{}: no such file; check the path", path);
  require<ConfigError>(!error, "{}: {}; check the path and its permissions", path, error.message());
  require<ConfigError>(fs::is_regular_file(status), "{}: not a regular file; give a file", path);
  const std::uintmax_t bytes = fs::file_size(path, error);
  require<ConfigError>(!error && bytes <= max_bytes, "{}: {} bytes; at most {} are read", path,
                       bytes, max_bytes);
  std::ifstream file(path, std::ios::binary);
  require<ConfigError>(file.is_open(), "{}: cannot be opened; check its permissions", path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string json_excerpt(const Json& value) {
  constexpr int kShown = 40;
  return shown(value.dump(-1, ' ', false, Json::error_handler_t::replace), kShown);
}

}  // namespace veomni
