#pragma once
// Sections of report.html that only some runs have; each is empty where the run has nothing to say.

#include <string>

#include "core/report/report_data.h"

namespace veomni {

/// How many tokens visited each expert of each layer, as a picture.
std::string experts_section(const ReportData& data);

/// What the ranks sent each other in the last step, by axis; and by unit, in the step that tells of it.
std::string comm_section(const ReportData& data);

}  // namespace veomni
