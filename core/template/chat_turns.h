#pragma once
// Which bytes of a rendered conversation an assistant wrote.

#include <string>
#include <vector>

#include "core/template/chat_template.h"

namespace veomni {

struct ChatTurns {
  std::string text;             ///< the whole conversation
  std::vector<ChatSpan> spans;  ///< of the learned assistant turns, in order, each with the token
                                ///< that ends the turn
};

/// Renders `messages` and finds the assistant's turns. Where the template has {% generation %}
/// blocks, they are the turns. Otherwise a turn starts where the prompt for it would end (the
/// rendering of what stands before it, with add_generation_prompt), and ends behind the special
/// token after its content. A template may render a turn in another way once others follow (Qwen3
/// drops earlier reasoning): then the turn's place in the whole text is found by rendering the
/// conversation with other contents in its place.
///
/// `learned`: for each message whether it counts, empty: all. Throws ConfigError when the template
/// refuses the messages, or where a turn's place cannot be told.
ChatTurns render_turns(const ChatTemplate& chat, const Json& messages, const Json& tools,
                       const std::vector<bool>& learned = {});

}  // namespace veomni
