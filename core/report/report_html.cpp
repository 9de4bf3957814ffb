// report.html: one page without network. All that comes from files passes escape() or
// script_json().
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

#include "core/checkpoint/file_io.h"
#include "core/error.h"
#include "core/report/json_lines.h"
#include "core/report/markup.h"
#include "core/report/report_data.h"
#include "core/report/report_page.h"
#include "core/report/report_sections.h"
#include "core/report/run_log.h"
#include "core/version.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

/// JSON for a script element: plain ASCII, and no character that could end the element.
std::string script_json(const Json& value) {
  std::string result;
  for (const char c : value.dump(-1, ' ', true, Json::error_handler_t::replace)) {
    const bool risky = c == '<' || c == '>' || c == '&';
    result += risky ? fmt::format("\\u{:04x}", static_cast<int>(c)) : std::string(1, c);
  }
  return result;
}

/// Six digits are more than a screen shows; null breaks a line.
Json short_numbers(const std::vector<double>& values) {
  Json result = Json::array();
  for (const double value : values) {
    result.push_back(std::isfinite(value)
                         ? Json(std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr))
                         : Json());
  }
  return result;
}

Json curve_json(const Curve& curve) {
  Json steps = Json::array();
  for (const double step : curve.steps) steps.push_back(static_cast<int64_t>(step));
  return {{"x", std::move(steps)}, {"y", short_numbers(curve.values)}};
}

Json charts_json(const std::vector<Chart>& charts) {
  Json result = Json::array();
  for (const auto& chart : charts) {
    Json series = Json::array();
    for (const auto& line : chart.series) {
      series.push_back({{"name", line.name},
                        {"raw", curve_json(line.raw)},
                        {"smooth", curve_json(line.smooth)},
                        {"points", line.points_only}});
    }
    result.push_back({{"title", chart.title},
                      {"unit", chart.unit},
                      {"shares", chart.shares},
                      {"series", series}});
  }
  return result;
}

std::string fact(const std::string& name, const std::string& value) {
  return fmt::format("<div class=\"fact\"><dt>{}</dt><dd>{}</dd></div>\n", escape(name),
                     escape(value));
}

std::string facts_section(const ReportData& data) {
  std::string html = "<dl class=\"facts\">\n";
  const auto last = [&](const char* key) {
    return data.last_step.is_object() ? data.last_step.value(key, Json()) : Json();
  };
  if (last("loss").is_number()) html += fact("final loss", number_text(last("loss").get<double>()));
  html += fact("steps", std::to_string(data.steps)) +
          fact("training time", duration_text(data.training_seconds));
  if (data.tokens > 0) html += fact("tokens", count_text(data.tokens));
  if (!std::isnan(data.median_tokens_per_second))
    html += fact("median tokens/s", count_text(data.median_tokens_per_second));
  if (data.peak_memory_bytes > 0) html += fact("peak memory", bytes_text(data.peak_memory_bytes));
  if (last("pack_efficiency").is_number()) {
    html += fact("pack efficiency",
                 fmt::format("{:.1f} %", 100 * last("pack_efficiency").get<double>()));
  }
  if (last("mfu").is_number())
    html += fact("MFU", fmt::format("{:.1f} %", 100 * last("mfu").get<double>()));
  return html + "</dl>\n";
}

std::string evaluation_section(const ReportData& data) {
  if (data.evaluation.empty())
    return section("evaluation", "Evaluation", "<p class=\"none\">No evaluation yet.</p>\n");
  std::string body =
      "<div class=\"wide\"><table><thead><tr><th>source</th><th>metric</th><th "
      "class=\"n\">final</th>"
      "<th class=\"n\">at step</th><th class=\"n\">best</th><th class=\"n\">at "
      "step</th></tr></thead><tbody>\n";
  std::string previous;
  for (const auto& row : data.evaluation) {
    const bool same = row.source == previous;
    body += fmt::format(
        "<tr{}><td>{}</td><td>{}</td><td class=\"n strong\">{}</td><td class=\"n soft\">{}</td>"
        "<td class=\"n\">{}</td><td class=\"n soft\">{}</td></tr>\n",
        same ? "" : " class=\"first\"", same ? "" : escape(row.source), escape(row.metric),
        number_text(row.final_value), row.final_step,
        row.has_best ? number_text(row.best_value) : "",
        row.has_best ? std::to_string(row.best_step) : "");
    previous = row.source;
  }
  return section("evaluation", "Evaluation", body + "</tbody></table></div>\n");
}

std::string samples_section(const ReportData& data) {
  constexpr size_t kShown = 12;
  if (data.samples.empty())
    return section("samples", "Samples", "<p class=\"none\">No sample was generated.</p>\n");
  std::string body;
  const size_t begin = data.samples.size() > kShown ? data.samples.size() - kShown : 0;
  if (begin > 0)
    body += fmt::format("<p class=\"none\">The last {} of {}.</p>\n", kShown, data.samples.size());
  for (size_t i = data.samples.size(); i-- > begin;) {  // the newest first
    const auto& sample = data.samples[i];
    const auto text = [&](const char* key) {
      return sample.contains(key) && sample[key].is_string() ? sample[key].get<std::string>() : "";
    };
    body += fmt::format(
        "<figure class=\"sample\"><figcaption>{} <span>step "
        "{}</span></figcaption><pre>{}</pre></figure>\n",
        escape(text("title")), escape(sample.value("step", Json(0)).dump()), escape(text("text")));
  }
  return section("samples", "Samples", body);
}

void plan_rows(const Json& value, const std::string& path, std::string& html) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, item] : value.items())
      plan_rows(item, path.empty() ? key : path + "." + key, html);
    return;
  }
  const auto text = value.is_string() ? value.get<std::string>() : json_line(value);
  html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape(path), escape(text));
}

std::string plan_section(const ReportData& data) {
  if (data.plan.is_null())
    return section("plan", "Plan", "<p class=\"none\">The run has no plan.json.</p>\n");
  std::string rows;
  plan_rows(data.plan, "", rows);
  return section(
      "plan", "Plan",
      "<div class=\"wide\"><table class=\"pairs\"><tbody>\n" + rows + "</tbody></table></div>\n");
}

std::string recipe_section(const ReportData& data) {
  if (data.recipe.is_null())
    return section("recipe", "Recipe", "<p class=\"none\">The run has no recipe.json.</p>\n");
  const auto text = data.recipe.dump(2, ' ', false, Json::error_handler_t::replace);
  return section("recipe", "Recipe",
                 "<details><summary>The recipe with every default</summary><pre>" + escape(text) +
                     "</pre></details>\n");
}

std::string date_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M %Z", &local);
  return text.data();
}

std::string charts_section(const ReportData& data) {
  const auto body =
      data.charts.empty()
          ? std::string("<p class=\"none\">No step was logged yet.</p>\n")
          : std::string(
                "<div class=\"charts\" id=\"charts\"></div>\n"
                "<noscript><p class=\"none\">Curves need JavaScript.</p></noscript>\n");
  return section("curves", "Curves", body);
}

std::string report_html(const ReportData& data) {
  const auto name = escape(printable_text(data.name, false));
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  html += fmt::format("<title>{} – veomni</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
                      name, kReportStyle);
  html += fmt::format("<header><h1>{}</h1><p>veomni {} · {}</p></header>\n", name, version(),
                      date_text());
  html += facts_section(data) + charts_section(data) + evaluation_section(data) +
          samples_section(data) + experts_section(data) + comm_section(data) + plan_section(data) +
          recipe_section(data);
  html += "</main>\n<script type=\"application/json\" id=\"data\">" +
          script_json(charts_json(data.charts)) + "</script>\n";
  return html + "<script>" + kReportScript + "</script>\n</body>\n</html>\n";
}

}  // namespace

void write_report(const fs::path& run) {
  try {
    write_file_atomically(run / "report.html", report_html(read_report_data(run)));
  } catch (const Json::exception&) {  // a key of another type than the run writes
    throw ConfigError(fmt::format(
        "{}: recipe.json, plan.json, metrics.jsonl or samples.jsonl was changed; restore it",
        run.string()));
  }
}

}  // namespace veomni
