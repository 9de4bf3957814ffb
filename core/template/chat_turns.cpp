#include "core/template/chat_turns.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/search.h"

namespace veomni {
namespace {

using std::string_view;

size_t common_start(string_view a, string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t count = 0;
  while (count < most && a[count] == b[count]) ++count;
  while (count > 0 && count < a.size() && (static_cast<uint8_t>(a[count]) & 0xC0U) == 0x80U)
    --count;  // never inside of a character
  return count;
}

size_t common_end(string_view a, string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t count = 0;
  while (count < most && a[a.size() - 1 - count] == b[b.size() - 1 - count]) ++count;
  while (count > 0 && (static_cast<uint8_t>(a[a.size() - count]) & 0xC0U) == 0x80U) --count;
  return count;
}

class TurnFinder {
 public:
  TurnFinder(const ChatTemplate& chat, const Json& messages, const Json& tools, string_view whole)
      : chat_(chat), messages_(messages), tools_(tools), whole_(whole) {}

  ChatSpan find(size_t turn, size_t after) {
    turn_ = turn;
    place_.reset();
    const size_t begin = find_begin(after), end = find_end(begin);
    if (begin < after || end < begin || end > whole_.size()) lost();
    return {begin, end};
  }

 private:
  /// Where the turn's content stands, whatever it is: bytes [begin, end).
  struct Place {
    size_t begin, end;
  };

  [[noreturn]] void lost() const {
    throw ConfigError(
        fmt::format("messages[{}]: the chat template renders this assistant turn so that its place "
                    "in the conversation cannot be told; mark it with {{% generation %}}",
                    turn_));
  }

  /// The first `count` messages as text, or nothing when the template refuses them.
  std::optional<std::string> start(size_t count, bool prompt) const {
    if (count == 0) return std::nullopt;
    const Json some(messages_.begin(), messages_.begin() + static_cast<int64_t>(count));
    return rendered(some, prompt);
  }

  std::optional<std::string> rendered(const Json& messages, bool prompt) const {
    try {
      return chat_.render(messages, {.tools = tools_, .add_generation_prompt = prompt});
    } catch (const ConfigError&) {
      return std::nullopt;
    }
  }

  /// Two renderings that differ only in the turn, or nothing when the template refuses them.
  struct Pair {
    std::string first, second;
    size_t front(string_view whole) const {
      return std::min(common_start(first, second), common_start(whole, first));
    }
    size_t back(string_view whole) const {
      return std::min(common_end(first, second), common_end(whole, first));
    }
  };

  template <class Change>
  std::optional<Pair> varied(const Json& messages, const Change& change) const {
    Pair pair;
    for (std::string* text : {&pair.first, &pair.second}) {
      Json other = messages;
      change(other[turn_], text == &pair.first ? "a" : "b");
      auto made = rendered(other, false);
      if (!made) return std::nullopt;
      *text = std::move(*made);
    }
    if (pair.first == pair.second) return std::nullopt;
    return pair;
  }

  static void put_content(Json& message, const char* content) {
    message = {{"role", message["role"]}, {"content", content}};
  }

  const Place& place() {
    if (place_) return *place_;
    if (const auto pair = varied(messages_, put_content)) {
      const size_t front = pair->front(whole_), back = pair->back(whole_);
      place_ = {front, std::max(front, whole_.size() - back)};
    } else {
      place_ = place_of_call();
    }
    return *place_;
  }

  // Templates that let users and assistants alternate refuse a text in the place of a call of a
  // tool. For its start what follows is left out up to the user's next turn; its end is the first
  // eos_token behind the function's name.
  Place place_of_call() const {
    const Json& message = messages_[turn_];
    const auto eos = chat_.special_tokens().find("eos_token");
    if (!message.contains("tool_calls") || eos == chat_.special_tokens().end()) lost();
    Json shorter(messages_.begin(), messages_.begin() + static_cast<int64_t>(turn_) + 1);
    size_t next = turn_ + 1;
    while (next < messages_.size() && messages_[next]["role"] != "user") ++next;
    for (; next < messages_.size(); ++next) shorter.push_back(messages_[next]);
    const auto start = varied(shorter, put_content);
    const auto name = varied(messages_, [](Json& call, const char* text) {
      call["tool_calls"][call["tool_calls"].size() - 1]["function"]["name"] = text;
    });
    if (!start || !name) lost();
    const size_t behind = whole_.size() - std::min(whole_.size(), name->back(whole_));
    const size_t end = jinja::find_text(whole_, eos->get_ref<const std::string&>(), behind);
    if (end == string_view::npos) lost();
    return {start->front(whole_), end};
  }

  size_t find_begin(size_t after) {
    const auto prompt = start(turn_, true), without = start(turn_, false);
    std::string header;  // what add_generation_prompt adds
    if (prompt && without && prompt->starts_with(*without))
      header = prompt->substr(without->size());
    if (prompt && whole_.starts_with(*prompt)) {
      if (!header.empty()) return prompt->size();
      // The template has no header, or always writes it: what stands before the content is no part
      // of the turn unless it is white space.
      const size_t begin = place().begin;
      const bool blank =
          begin >= prompt->size() &&
          jinja::strip(whole_.substr(prompt->size(), begin - prompt->size()), {}, true, false)
              .empty();
      return blank ? prompt->size() : begin;
    }
    const size_t begin = place().begin;
    if (header.empty()) return begin;
    const size_t found = jinja::Search(whole_.substr(0, begin), header, true).next();
    if (found == string_view::npos || found < after) lost();
    return found + header.size();
  }

  size_t find_end(size_t begin) {
    const auto through = start(turn_ + 1, false);
    if (through && whole_.starts_with(*through) && through->size() >= begin) {
      const string_view turn = whole_.substr(begin, through->size() - begin);
      const string_view text = jinja::strip(turn, {}, false, true);
      const bool closed = std::any_of(
          chat_.added_tokens().begin(), chat_.added_tokens().end(),
          [&](const std::string& token) { return !token.empty() && text.ends_with(token); });
      return begin + (closed ? text.size() : turn.size());
    }
    const size_t end = place().end;
    const string_view rest = whole_.substr(end);
    const string_view next = jinja::strip(rest, {}, true, false);
    size_t longest = 0;
    for (const std::string& token : chat_.added_tokens())
      if (next.starts_with(token)) longest = std::max(longest, token.size());
    return longest == 0 ? end : end + (rest.size() - next.size()) + longest;
  }

  const ChatTemplate& chat_;
  const Json& messages_;
  const Json& tools_;
  string_view whole_;
  size_t turn_ = 0;
  std::optional<Place> place_;
};

bool counts(const Json& messages, const std::vector<bool>& learned, size_t i) {
  return messages[i]["role"] == "assistant" && (learned.empty() || learned[i]);
}

/// Of the template's own blocks those of learned turns.
std::vector<ChatSpan> chosen_blocks(const std::vector<ChatSpan>& blocks, const Json& messages,
                                    const std::vector<bool>& learned) {
  if (learned.empty()) return blocks;
  std::vector<size_t> turns;
  for (size_t i = 0; i < messages.size(); ++i)
    if (messages[i]["role"] == "assistant") turns.push_back(i);
  require<ConfigError>(turns.size() == blocks.size(),
                       "messages: {} assistant turns, but the chat template marks {} blocks with "
                       "{{% generation %}}, so single turns cannot be left out",
                       turns.size(), blocks.size());
  std::vector<ChatSpan> chosen;
  for (size_t i = 0; i < turns.size(); ++i)
    if (learned[turns[i]]) chosen.push_back(blocks[i]);
  return chosen;
}

}  // namespace

ChatTurns render_turns(const ChatTemplate& chat, const Json& messages, const Json& tools,
                       const std::vector<bool>& learned) {
  ChatTurns turns;
  bool tracked = false;
  std::vector<ChatSpan> blocks;
  turns.text = chat.render(messages, {.tools = tools}, blocks, tracked);
  if (tracked) {
    turns.spans = chosen_blocks(blocks, messages, learned);
    return turns;
  }
  TurnFinder finder(chat, messages, tools, turns.text);
  size_t after = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!counts(messages, learned, i)) continue;
    turns.spans.push_back(finder.find(i, after));
    after = turns.spans.back().end;
  }
  return turns;
}

}  // namespace veomni
