#pragma once
// Pieces of report.html.

#include <string>

namespace veomni {

/// Text for HTML, between tags or in a quoted attribute.
std::string escape(const std::string& text);

/// `body` is markup, under a heading.
std::string section(const char* id, const char* title, const std::string& body);

}  // namespace veomni
