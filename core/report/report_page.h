#pragma once

namespace veomni {

extern const char* const kReportStyle;   ///< CSS of report.html, light and dark
extern const char* const kReportScript;  ///< draws the charts from the JSON in the element `data`
}  // namespace veomni
