#include "core/sorted_json.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "core/checkpoint/file_io.h"
#include "core/error.h"

namespace veomni {
namespace {

[[noreturn]] void fail_at(const JsonText& source, size_t offset, const std::string& what) {
  throw ConfigError(fmt::format("{}: byte {}: {}", source.file, source.begin + offset, what));
}

void check_depth(const JsonText& source) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < source.text.size(); ++i) {
    const char c = source.text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '{' || c == '['))
      ++depth;
    else if (!in_string && (c == '}' || c == ']'))
      --depth;
    if (depth > source.depth)
      fail_at(source, i,
              fmt::format("{} is nested deeper than {} levels; is it the right file?", source.what,
                          source.depth));
  }
}

/// Of the number that nlohmann's message quotes.
size_t place_of_number(std::string_view text, const std::string& message) {
  const size_t begin = message.find('\''), end = message.rfind('\'');
  if (begin == std::string::npos || end <= begin + 1) return 0;
  const size_t place = text.find(message.substr(begin + 1, end - begin - 1));
  return place == std::string_view::npos ? 0 : place;
}

/// Follows the parser from key to key and keeps those of the open objects.
class KeysOnce {
 public:
  explicit KeysOnce(const JsonText& source) : source_(source) {}

  bool operator()(int, SortedJson::parse_event_t event, SortedJson& parsed) {
    if (event == SortedJson::parse_event_t::object_start) open_.emplace_back();
    if (event == SortedJson::parse_event_t::object_end) open_.pop_back();
    if (event != SortedJson::parse_event_t::key) return true;
    const auto& key = parsed.get_ref<const std::string&>();
    if (open_.back().insert(key).second) return true;
    const size_t place = source_.text.rfind(parsed.dump());
    fail_at(source_, place == std::string_view::npos ? 0 : place,
            fmt::format("key {} occurs twice; copy the file again", in_quotes(key)));
  }

 private:
  const JsonText& source_;
  std::vector<std::unordered_set<std::string>> open_;
};

}  // namespace

SortedJson parse_sorted_json(const JsonText& source) {
  check_depth(source);
  try {
    KeysOnce keys(source);
    return SortedJson::parse(source.text.begin(), source.text.end(), std::ref(keys));
  } catch (const SortedJson::parse_error& error) {
    fail_at(source, std::min(source.text.size(), error.byte > 0 ? error.byte - 1 : 0),
            source.what + " is not valid JSON; copy the file again");
  } catch (const SortedJson::exception& error) {
    fail_at(source, place_of_number(source.text, error.what()),
            source.what + " holds a number out of range; copy the file again");
  }
}

}  // namespace veomni
