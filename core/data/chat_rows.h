#pragma once
// Rows of chat data as conversations in Hugging Face's form.

#include <string>

#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// {"messages": [{"role": "system" | "user" | "assistant" | "tool", "content": text, …}, …],
///  "tools": list of schemas or null, "learned": list of booleans, one a message, or null}
///
/// alpaca    LLaMA-Factory's columns: [system], [history: pairs], prompt + "\n" + query, response
/// sharegpt  the roles human, gpt, function_call, observation, system under other names where "tags"
///           say so; a function_call becomes an assistant's tool_calls
/// messages  roles and contents as Hugging Face's chat templates expect; a content may be a list of
///           parts: text, reasoning, tool_call. "loss_weight" 0 takes an assistant's turn out of the
///           loss
/// Schemas of tools may be JSON text; a bare {"name": …} becomes {"type": "function", "function": …}.
/// Arguments of calls may be JSON text. Calls without an id get one of nine letters and digits,
/// which their results share in order (Mistral's templates ask for it).
///
/// Throws ConfigError `column: what; what to do` for a row that is not so.
Json to_conversation(const Json& row, const SourceConfig& config);

}  // namespace veomni
