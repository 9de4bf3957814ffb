// Sections of the report that only some runs have.
#include "core/report/report_sections.h"

#include <catch2/catch.hpp>

#include "core/report/json_lines.h"
#include "core/report/run_log.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
using Catch::Matchers::Contains;

namespace {

Json call(int64_t calls, int64_t bytes, double seconds, double exposed) {
  return {{"calls", calls}, {"bytes", bytes}, {"seconds", seconds}, {"exposed_seconds", exposed}};
}

Json layer(double busiest, const Json& loads) {
  return {{"max_over_mean", busiest}, {"idle", 1}, {"entropy", 0.5}, {"loads", loads}};
}

/// A run of two steps; the second has what only it tells.
void write_run(const std::filesystem::path& run) {
  Json first = {{"step", 1}, {"loss", 2.0}, {"router", {{"0", layer(3, {6, 2, 0})}}}};
  first["comm_units"]["dense"]["model<"] = {{"all_gather", call(3, 3000, 0.5, 0.1)}};
  Json second = {{"step", 2}, {"loss", 1.0}};
  second["router"]["0"] = {{"max_over_mean", 1.5}, {"idle", 0}, {"entropy", 0.9}};
  second["comm"]["dense"] = {{"all_gather", call(4, 1 << 20, 0.010, 0.001)},
                             {"reduce_scatter", call(2, 1 << 19, 0.010, 0.004)}};
  spit(run / "metrics.jsonl", json_line(first) + "\n" + json_line(second) + "\n");
}

}  // namespace

TEST_CASE("report sections: experts and communication of a run that has both", "[core][report]") {
  TemporaryDirectory directory;
  write_run(directory.path());
  const auto data = read_report_data(directory.path());
  const auto experts = experts_section(data);
  CHECK_THAT(experts, Contains("<section id=\"experts\">") && Contains("Step 1:"));
  CHECK_THAT(experts, Contains("title=\"expert 0: 6 choices, 2.25 of the mean\""));
  CHECK_THAT(experts, Contains("opacity:1.00") && Contains("opacity:0.38"));
  const auto comm = comm_section(data);
  CHECK_THAT(comm, Contains("<section id=\"communication\">"));
  // 6 calls, 1.5 MB, 20 ms of which 5 were waited for.
  CHECK_THAT(comm, Contains("<td>dense</td><td class=\"n\">6</td><td class=\"n\">1.5 MB</td><td "
                            "class=\"n\">20.00</td><td class=\"n\">5.00</td><td class=\"n "
                            "strong\">75 %</td>"));
  CHECK_THAT(comm, Contains("model&lt;") && Contains("80 %"));
  write_report(directory.path());
  const auto html = slurp(directory / "report.html");
  CHECK_THAT(html, Contains(experts) && Contains(comm));
  CHECK_THAT(html, Contains("Busiest expert, load over the mean"));
}

TEST_CASE("report sections: a dense run on one rank has neither", "[core][report]") {
  TemporaryDirectory directory;
  spit(directory / "metrics.jsonl", json_line({{"step", 1}, {"loss", 2.0}}) + "\n");
  const auto data = read_report_data(directory.path());
  CHECK(experts_section(data).empty());
  CHECK(comm_section(data).empty());
}
