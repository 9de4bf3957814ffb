#include "core/report/report_sections.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/comm_ledger.h"
#include "core/report/json_lines.h"
#include "core/report/markup.h"

namespace veomni {
namespace {

/// A cell an expert: as dark as its load over the mean, full at twice the mean.
std::string expert_row(const std::string& layer, const Json& figures) {
  double sum = 0;
  for (const auto& load : figures.at("loads")) sum += load.get<double>();
  const double mean = sum / std::max<double>(1, static_cast<double>(figures.at("loads").size()));
  std::string cells;
  size_t expert = 0;
  for (const auto& load : figures.at("loads")) {
    const double share = mean > 0 ? load.get<double>() / mean : 0;
    cells += fmt::format(
        "<i style=\"opacity:{:.2f}\" title=\"expert {}: {} choices, {} of the mean\"></i>",
        std::clamp(share / 2, 0.03, 1.0), expert++, load.get<int64_t>(), number_text(share));
  }
  return fmt::format(
      "<tr><td>{}</td><td class=\"experts\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td></tr>\n",
      escape(layer), cells, number_text(figures.at("max_over_mean").get<double>()),
      figures.at("idle").get<int64_t>(), number_text(figures.at("entropy").get<double>()));
}

/// Of `calls`, {call: CommLedger::json's figures}.
CommCount sum_of(const Json& calls) {
  CommCount sum;
  for (const auto& [name, call] : calls.items())
    sum += {.calls = call.at("calls").get<int64_t>(),
            .bytes = call.at("bytes").get<int64_t>(),
            .seconds = call.at("seconds").get<double>(),
            .exposed = call.at("exposed_seconds").get<double>()};
  return sum;
}

std::string traffic_cells(const CommCount& sum) {
  const std::string hidden =
      sum.seconds > 0
          ? fmt::format("{:.0f} %", 100 * std::clamp(1 - sum.exposed / sum.seconds, 0.0, 1.0))
          : "–";
  return fmt::format(
      "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2f}</td><td "
      "class=\"n\">{:.2f}</td><td class=\"n strong\">{}</td>",
      sum.calls, bytes_text(static_cast<double>(sum.bytes)), 1e3 * sum.seconds, 1e3 * sum.exposed,
      hidden);
}

std::string traffic_table(const std::string& what, const std::string& rows) {
  return "<div class=\"wide\"><table><thead><tr>" + what +
         "<th class=\"n\">calls</th><th class=\"n\">sent or got</th><th class=\"n\">ms</th><th "
         "class=\"n\">ms waited</th><th class=\"n\">hidden</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string unit_rows(const Json& axes) {
  std::string rows;
  for (const auto& [axis, units] : axes.items()) {
    bool first = true;
    for (const auto& [unit, calls] : units.items()) {
      rows += fmt::format("<tr{}><td>{}</td><td>{}</td>{}</tr>\n", first ? " class=\"first\"" : "",
                          first ? escape(axis) : "", escape(unit), traffic_cells(sum_of(calls)));
      first = false;
    }
  }
  return rows;
}

}  // namespace

std::string experts_section(const ReportData& data) {
  if (data.expert_loads.is_null()) return {};
  std::string rows;
  for (const auto& [layer, figures] : data.expert_loads.items()) rows += expert_row(layer, figures);
  return section(
      "experts", "Experts",
      fmt::format(
          "<p class=\"none\">Step {}: the darker, the more tokens; full at twice the mean.</p>\n",
          data.expert_step) +
          "<div class=\"wide\"><table><thead><tr><th>layer</th><th>load of each expert</th><th "
          "class=\"n\">busiest / mean</th><th class=\"n\">idle</th><th class=\"n\">entropy / ln "
          "E</th></tr></thead><tbody>\n" +
          rows + "</tbody></table></div>\n");
}

std::string comm_section(const ReportData& data) {
  const Json comm = data.last_step.is_object() ? data.last_step.value("comm", Json()) : Json();
  if (!comm.is_object() || comm.empty()) return {};
  std::string rows;
  for (const auto& [axis, calls] : comm.items())
    rows += fmt::format("<tr><td>{}</td>{}</tr>\n", escape(axis), traffic_cells(sum_of(calls)));
  std::string body = traffic_table("<th>axis, last step</th>", rows);
  if (data.comm_units.is_object())
    body += "<details><summary>By unit, in the first step</summary>" +
            traffic_table("<th>axis</th><th>unit</th>", unit_rows(data.comm_units)) +
            "</details>\n";
  return section("communication", "Communication", body);
}

}  // namespace veomni
