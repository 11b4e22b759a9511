#include "train/localize/results.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "models/theory/localisation.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/text/text.h"

namespace ef {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

// ---- Text

namespace {

std::string heading_of(const Json& c) {
  std::string text =
      format("tr W %g, tr W^2 %g", c.at("trace").get<double>(), c.at("trace_square").get<double>());
  if (c.at("frobenius_square") != c.at("trace_square")) {
    text += format(", ||W||_F^2 %g", c.at("frobenius_square").get<double>());
  }
  if (c.at("head_dim") != c.at("channels"))
    text += format(", head dimension %d", c.at("head_dim").get<int>());
  return text;
}

std::string setting_of(const Json& c) {
  return format("T %d, d %d, lambda %g, tokens %s, %d draws", c.at("tokens").get<int>(),
                c.at("channels").get<int>(), c.at("lambda").get<double>(),
                c.at("tokens_model").get<std::string>().c_str(), c.at("draws").get<int>());
}

// The sites of which the table tells: those of the reference, else eighths.
std::vector<std::size_t> sites_of(const Json& theory) {
  std::vector<std::size_t> sites;
  const std::size_t tokens = theory.at("tokens");
  if (theory.contains("reference")) {
    for (const Json& point : theory.at("reference")) sites.push_back(point.at("t").get<std::size_t>() - 1);
    return sites;
  }
  for (std::size_t i = 1; i <= 8; ++i) {
    const std::size_t site = std::max<std::size_t>(1, (i * tokens + 4) / 8) - 1;
    if (sites.empty() || sites.back() != site) sites.push_back(site);
  }
  return sites;
}

std::string theory_text(const Json& theory) {
  std::string text = heading_of(theory) + ": " + theory.at("regimes").at("surrogate").get<std::string>();
  text += " (softmax: " + theory.at("regimes").at("softmax").get<std::string>() + ")\n";
  const std::vector<std::size_t> sites = sites_of(theory);
  const auto row = [&](const char* label, const Json& values, const char* pattern) {
    if (values.empty()) return;
    text += format("  %-12s", label);
    for (const std::size_t site : sites) text += format(pattern, values[site].get<double>());
    text += "\n";
  };
  row("theta", theory.at("theta"), "%9.4g");
  row("formula", theory.at("formula"), "%9.3f");
  row("limit", theory.at("limit"), "%9.3f");
  row("simulated", theory.at("measured"), "%9.3f");
  row("  +-", theory.at("standard_error"), "%9.3f");
  if (theory.contains("reference")) {
    text += format("  %-12s", "reference");
    for (const Json& point : theory.at("reference")) text += format("%9.2f", point.at("rho").get<double>());
    text += "\n";
  }
  if (!theory.at("formula").empty()) {
    double worst = 0;
    for (std::size_t t = 0; t < theory.at("formula").size(); ++t) {
      worst = std::max(
          worst, std::fabs(theory.at("formula")[t].get<double>() - theory.at("measured")[t].get<double>()));
    }
    text += format("  formula and simulation differ by %.3f at most\n", worst);
  }
  return text;
}

struct Column {
  const char *key, *heading;
};
constexpr Column columns[] = {{"row_entropy", "row entropy"},     {"profile_entropy", "profile entropy"},
                              {"first_quarter", "first quarter"}, {"last_quarter", "last quarter"},
                              {"residual", "residual"},           {"cosine", "cosine"}};

std::string softmax_text(const Json& cases) {
  std::string text, kind;
  for (const Json& c : cases) {
    if (c.at("matrix") != kind) {
      kind = c.at("matrix");
      text += format("%-38s", kind.c_str());
      for (const Column& column : columns) text += format("%16s", column.heading);
      text += "\n";
    }
    text += format("%-38s", heading_of(c).c_str());
    bool has_reference = false;
    for (const Column& column : columns) {
      const Json& s = c.at("statistics").at(column.key);
      text += format("%9.4f+-%.4f", s.at("mean").get<double>(), s.at("standard_error").get<double>());
      has_reference = has_reference || s.contains("reference");
    }
    text += "\n";
    if (!has_reference) continue;
    text += format("%38s", "reference");
    for (const Column& column : columns) {
      const Json& s = c.at("statistics").at(column.key);
      text += s.contains("reference") ? format("%8.3f        ", s.at("reference").get<double>())
                                      : std::string(16, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

// What was measured beside a reference, whose last digit is rounded.
struct Comparison {
  std::string what;
  double measured, error, reference, last_digit;
  double reference_error = 0;  // 0: not known

  // In standard errors of the difference of two simulations, as far as they are known, rounding included.
  double deviation() const {
    const double rounding = last_digit / std::sqrt(12.0);
    return std::fabs(measured - reference) /
           std::sqrt(error * error + reference_error * reference_error + rounding * rounding);
  }
  // Rounded to the reference; it may have been rounded twice, from the one digit more that is printed.
  bool same_digits() const { return std::fabs(measured - reference) <= 0.551 * last_digit; }
  bool rounding_is_all() const { return error < last_digit / 10; }
};

std::vector<Comparison> compared_rho(const Json& json) {
  std::vector<Comparison> all;
  for (const Json& c : json.at("theory")) {
    if (!c.contains("reference")) continue;
    for (const Json& point : c.at("reference")) {
      const std::size_t t = point.at("t").get<std::size_t>() - 1;
      all.push_back({heading_of(c) + format(", theta %g", point.at("theta").get<double>()),
                     c.at("measured")[t], c.at("standard_error")[t], point.at("rho"), .01});
    }
  }
  return all;
}

std::vector<Comparison> compared_softmax(const Json& json) {
  std::vector<Comparison> all;
  for (const Json& c : json.at("softmax")) {
    // A standard error goes with one over the root of the number of draws.
    const double known = c.value("reference_draws", 0.0), draws = c.at("draws");
    const double ratio = known > 0 ? std::sqrt(draws / known) : 0;
    for (const auto& [key, s] : c.at("statistics").items()) {
      if (!s.contains("reference")) continue;
      const double error = s.at("standard_error");
      all.push_back(
          {heading_of(c) + ", " + key, s.at("mean"), error, s.at("reference"), .001, ratio * error});
    }
  }
  return all;
}

// The largest deviation, and what all of them say. Where the reference's errors are known, the root mean
// square of the deviations is near 1 for separate draws, and the same digits throughout are the same draws.
// Where they are not, what number of draws would have errors as large: with n draws the mean square of
// (measured - reference)^2 / (variance of one draw) is 1 / n beyond our own 1 / draws.
std::string deviation_text(const char* table, const std::vector<Comparison>& all, double draws) {
  if (all.empty()) return "";
  const auto worst = std::max_element(all.begin(), all.end(), [](const Comparison& a, const Comparison& b) {
    return a.deviation() < b.deviation();
  });
  const bool known = worst->reference_error > 0;
  if (known && std::all_of(all.begin(), all.end(), std::mem_fn(&Comparison::same_digits))) {
    return format("%s: all %zu numbers are those of the reference, to its last digit\n", table, all.size()) +
           "  (separate draws would differ more: these are the reference's own; another --seed draws "
           "others)\n";
  }
  std::string text = format("%s: largest deviation from the reference %.1f standard errors%s (", table,
                            worst->deviation(), known ? " of the difference" : "");
  text += worst->what +
          format(": %.4f +- %.4f, reference %g)\n", worst->measured, worst->error, worst->reference);
  double squares = 0, count = 0;
  for (const Comparison& c : all) {
    if (c.rounding_is_all()) continue;
    squares += c.deviation() * c.deviation();
    ++count;
  }
  if (count == 0) return text;
  if (known) {
    text += format("  (root mean square of %.0f deviations: %.2f; near 1 for separate draws)\n", count,
                   std::sqrt(squares / count));
  } else if (const double excess = squares / count - 1; excess > 0) {
    text += format(
        "  (the reference was simulated, too, of a number of draws that was not kept; one of about %.0f "
        "would "
        "differ as much)\n",
        draws / excess);
  }
  return text;
}

std::string regime_name(char sign) {
  for (const Regime regime : all_regimes) {
    if (letter(regime) == sign) return name(regime);
  }
  return "";
}

// How often two panels agree, and as what they differ most.
std::string agreement_text(const Json& diagram) {
  std::string text;
  const auto compare = [&](const char* one, const char* other) {
    if (!diagram.at("panels").contains(one)) return;
    std::map<std::string, int> pairs;
    int cells = 0, equal = 0;
    for (std::size_t y = 0; y < diagram.at("trace_square").size(); ++y) {
      const std::string a = diagram.at("panels").at(one).at(y), b = diagram.at("panels").at(other).at(y);
      for (std::size_t x = 0; x < a.size(); ++x) {
        if (a[x] == ' ') continue;
        ++cells;
        equal += a[x] == b[x] ? 1 : 0;
        if (a[x] != b[x]) ++pairs[regime_name(a[x]) + " -> " + regime_name(b[x])];
      }
    }
    text += format("%s and %s agree in %d of %d cells", one, other, equal, cells);
    std::vector<std::pair<int, std::string>> ranked;
    for (const auto& [pair, count] : pairs) ranked.emplace_back(-count, pair);
    std::sort(ranked.begin(), ranked.end());
    for (std::size_t i = 0; i < std::min<std::size_t>(4, ranked.size()); ++i) {
      text += (i == 0 ? "; else " : ", ") + ranked[i].second + format(" %d", -ranked[i].first);
    }
    text += ".\n";
  };
  compare("theory", "surrogate");
  compare("surrogate", "softmax");
  return text;
}

constexpr const char* letters_text =
    "L late  M middle  E early  m early-middle  . uniform  x washed out  (empty: no matrix, tr W^2 < (tr "
    "W)^2/d)\n";

// Every second row and column.
std::string diagram_text(const Json& diagram) {
  std::string text =
      "regimes over tr W/lambda (across) and tr W^2/lambda^2 (up): " + setting_of(diagram) + "\n";
  const double lambda = diagram.at("lambda");
  const std::size_t rows = diagram.at("trace_square").size(), width = diagram.at("trace").size();
  const std::size_t shown = (width + 1) / 2;
  text += std::string(9, ' ');
  for (const auto& [panel, unused] : diagram.at("panels").items()) {
    text += format("  %-*s", static_cast<int>(shown), panel.c_str());
  }
  text += "\n";
  for (std::size_t y = rows; y-- > 0;) {
    if (y % 2 != 0) continue;
    text += format("%9.4g", diagram.at("trace_square")[y].get<double>() / lambda / lambda);
    for (const auto& [panel, letters] : diagram.at("panels").items()) {
      text += "  ";
      const std::string row = letters[y];
      for (std::size_t x = 0; x < width; x += 2) text += row[x];
    }
    text += "\n";
  }
  text += std::string(9, ' ');
  const int side = static_cast<int>(shown / 2);
  for (std::size_t i = 0; i < diagram.at("panels").size(); ++i) {
    text += format("  %-*.3g0%*.3g", side, diagram.at("trace").front().get<double>() / lambda, side,
                   diagram.at("trace").back().get<double>() / lambda);
  }
  return text + "\n" + letters_text + agreement_text(diagram);
}

}  // namespace

std::string deviations_text(const std::string& text) {
  const Json json = parse_json(text, "localize.json");
  return deviation_text("rho", compared_rho(json), json.at("theory")[0].at("draws")) +
         deviation_text("softmax", compared_softmax(json), json.at("softmax")[0].at("draws"));
}

std::vector<std::string> agreement_texts(const std::string& text) {
  std::vector<std::string> texts;
  const Json json = parse_json(text, "localize.json");
  for (const Json& diagram : json.value("diagrams", Json::array())) texts.push_back(agreement_text(diagram));
  return texts;
}

std::string localize_text(const std::string& text) {
  const Json json = parse_json(text, "localize.json");
  std::string out;
  const Json& theory = json.at("theory");
  if (!theory.empty()) {
    out +=
        "Signal propagation probability rho, piecewise linear surrogate: " + setting_of(theory[0]) + "\n\n";
    for (const Json& c : theory) out += theory_text(c) + "\n";
  }
  const Json& softmax = json.at("softmax");
  if (!softmax.empty()) {
    out += "Softmax, causal: " + setting_of(softmax[0]) + "\n";
    out += "(entropies divided by log of their support; residual 0, cosine 1: all tokens alike)\n\n";
    out += softmax_text(softmax) + "\n";
  }
  if (const std::string deviations = deviations_text(text); !deviations.empty()) out += deviations + "\n";
  if (json.contains("diagrams")) {
    for (const Json& diagram : json.at("diagrams")) out += diagram_text(diagram) + "\n";
  }
  return out;
}

// ---- Files

namespace {

std::string cell(const Json& value) { return std::string(",") + value.dump(); }

std::string csv_start(const Json& c) {
  std::string text;
  for (const char* key : {"matrix", "channels", "head_dim", "trace", "trace_square", "frobenius_square",
                          "lambda", "tokens_model", "tokens", "draws"}) {
    const Json& value = c.at(key);
    text += (value.is_string() ? csv_field(value.get<std::string>()) : value.dump()) + ",";
  }
  return text;
}
constexpr const char* csv_names =
    "matrix,channels,head_dim,trace,trace_square,frobenius_square,lambda,tokens_model,tokens,draws,";

std::string theory_csv(const Json& theory) {
  std::string text = csv_names + std::string("t,theta,formula,limit,measured,standard_error,reference\n");
  for (const Json& c : theory) {
    for (std::size_t t = 0; t < c.at("theta").size(); ++t) {
      text += csv_start(c) + std::to_string(t + 1);
      for (const char* key : {"theta", "formula", "limit", "measured", "standard_error"}) {
        text += c.at(key).empty() ? "," : cell(c.at(key)[t]);
      }
      text += ",";
      if (c.contains("reference")) {
        for (const Json& point : c.at("reference")) {
          if (point.at("t") == t + 1) text += point.at("rho").dump();
        }
      }
      text += "\n";
    }
  }
  return text;
}

std::string softmax_csv(const Json& softmax) {
  std::string text = csv_names + std::string("statistic,mean,standard_error,reference\n");
  for (const Json& c : softmax) {
    for (const auto& [key, s] : c.at("statistics").items()) {
      text += csv_start(c) + key + cell(s.at("mean")) + cell(s.at("standard_error"));
      text += (s.contains("reference") ? cell(s.at("reference")) : ",") + "\n";
    }
  }
  return text;
}

std::string diagrams_csv(const Json& diagrams) {
  std::string text =
      "tokens_model,tokens,channels,lambda,draws,trace,trace_square,theory,surrogate,softmax,rho_later,"
      "rho_largest,softmax_later,softmax_entropy\n";
  for (const Json& d : diagrams) {
    const std::size_t width = d.at("trace").size();
    for (std::size_t at = 0; at < width * d.at("trace_square").size(); ++at) {
      const std::size_t x = at % width, y = at / width;
      if (d.at("values").at("rho_later")[at].is_null()) continue;
      text += d.at("tokens_model").get<std::string>();
      for (const char* key : {"tokens", "channels", "lambda", "draws"}) text += cell(d.at(key));
      text += cell(d.at("trace")[x]) + cell(d.at("trace_square")[y]);
      for (const char* panel : {"theory", "surrogate", "softmax"}) {
        text += ",";
        if (d.at("panels").contains(panel)) text += d.at("panels")[panel][y].get<std::string>()[x];
      }
      for (const char* key : {"rho_later", "rho_largest", "softmax_later", "softmax_entropy"}) {
        text += cell(d.at("values")[key][at]);
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace

void write_localize(const std::string& folder, const std::string& text) {
  const Json json = parse_json(text, "localize.json");
  make_folder(folder);
  write_atomically(folder + "/theory.csv", theory_csv(json.at("theory")));
  write_atomically(folder + "/softmax.csv", softmax_csv(json.at("softmax")));
  if (json.contains("diagrams")) {
    write_atomically(folder + "/diagrams.csv", diagrams_csv(json.at("diagrams")));
  } else {
    std::error_code ignored;  // those of an earlier call belong to it alone
    std::filesystem::remove(folder + "/diagrams.csv", ignored);
  }
  write_atomically(folder + "/localize.json", text);
  write_page(folder + "/report.html",
             {"Where attention looks",
              "The theory of localisation beside simulation · eigenformer " +
                  json.at("version").get<std::string>() + " · seed " + json.at("seed").dump(),
              localize_sections(text)});
}

}  // namespace ef
