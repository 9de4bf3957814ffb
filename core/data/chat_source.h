#pragma once
// The formats alpaca, sharegpt and messages as a source.

#include "core/data/source.h"

namespace veomni {

/// A JSON array of objects, or an object a line. The field kConversation of a record holds the
/// conversation as JSON text (chat_rows.h), other fields are read as in jsonl. Every row is checked
/// when the source is opened. Throws ConfigError `file:line: …`, in an array `file: item N: …`.
std::unique_ptr<Source> open_chat(const SourceConfig&, const std::vector<std::string>& fields);

}  // namespace veomni
