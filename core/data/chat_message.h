#pragma once
// One message of a conversation in the form that chat templates read.

#include <string>

#include "core/json.h"

namespace veomni {

/// The calls in a text: {"name": …, "arguments": …} or a list of them, as
/// [{"type": "function", "function": {"name", "arguments": object}}]. Throws ConfigError.
Json tool_calls(const std::string& text, const std::string& where);

/// A message with "role" and "content"; parts of a content become one text, reasoning_content and
/// tool_calls. Other keys stay, except loss_weight. Throws ConfigError `where…: what; …`.
Json plain_message(const Json& item, const std::string& where);

/// Gives calls of tools without an id one, and their results the same.
void number_calls(Json& messages);

}  // namespace veomni
