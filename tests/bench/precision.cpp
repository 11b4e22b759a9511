// How far matrix products are off, by precision: prints a table, and draws engine/matmul/tiles-error.svg if
// it is given that name. Errors are those of the worst element of a 64 x 64 product, as a fraction of the
// same element of |A| |B|, against sums in double; the median over nine draws.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "engine/random.h"
#include "tests/bench/common.h"
#include "train/files/files.h"
#include "train/options/command_line.h"

namespace ef::bench {
namespace {

struct Kind {
  const char *name, *colour;
  double bound;  // 0: none is promised
};
const std::vector<Kind> kinds = {{"bf16", "#c2410c", 0x1p-7},
                                 {"split2", "#1d4ed8", 0x1p-15},
                                 {"split3", "#15803d", 0},
                                 {"float32", "#6b7280", 0}};

// The worst relative error of a product whose numbers are +-10^u, u drawn from [-decades, 0]; with `cancels`,
// the second half of each sum takes back the first but for about a hundredth.
double error_of(const char* precision, Index k, double decades, bool cancels, std::uint64_t draw) {
  constexpr Index n = 64;
  const Random random{draw, stream_of(Purpose::test), static_cast<std::uint64_t>(k)};
  std::vector<float> a(n * k), b(a.size()), c(n * n);
  const auto number = [&](std::uint64_t i) {
    const double sign = random.uniform(4 * i) < 0.5 ? -1 : 1;
    const double size = std::pow(10.0, -decades * random.uniform(4 * i + 1));
    return static_cast<float>(sign * size * (1 + random.uniform(4 * i + 2)) / 2);
  };
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = number(i);
    b[i] = number(a.size() + i);
  }
  const auto half = static_cast<std::size_t>(k / 2);
  for (std::size_t row = 0; cancels && row < static_cast<std::size_t>(n); ++row) {
    for (std::size_t l = 0; l < half; ++l) {
      a[row * static_cast<std::size_t>(k) + half + l] = a[row * static_cast<std::size_t>(k) + l];
      const auto off = static_cast<float>(0.02 * random.uniform(4 * (row * half + l) + 3));
      b[row * static_cast<std::size_t>(k) + half + l] =
          -b[row * static_cast<std::size_t>(k) + l] * (0.99f + off);
    }
  }
  blas::use_precision(precision);
  blas::gemm(blas::Op::as_is, blas::Op::transposed, n, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n);
  double worst = 0;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) {
      double exact = 0, size = 0;
      for (Index l = 0; l < k; ++l) {
        const double term = static_cast<double>(a[i * k + l]) * static_cast<double>(b[j * k + l]);
        exact += term;
        size += std::fabs(term);
      }
      worst = std::max(worst, std::fabs(static_cast<double>(c[i * n + j]) - exact) / size);
    }
  }
  return worst;
}

struct Panel {
  std::string title, x_label;
  std::vector<std::string> settings;
  std::vector<std::vector<double>> errors;  // by kind, by setting
};

Panel measure(const std::string& title, const std::string& x_label, const std::vector<std::string>& settings,
              const std::function<double(const char*, std::size_t, std::uint64_t)>& error) {
  Panel panel{title, x_label, settings, {}};
  for (const Kind& kind : kinds) {
    std::vector<double>& row = panel.errors.emplace_back();
    for (std::size_t s = 0; s < settings.size(); ++s) {
      Times draws;
      for (std::uint64_t draw = 1; draw <= 9; ++draw) draws.seconds.push_back(error(kind.name, s, draw));
      row.push_back(draws.median());
    }
  }
  return panel;
}

// Errors from 1e-9 (below) to 1e-1 (above), one panel beside the other.
std::string draw(const std::vector<Panel>& panels) {
  constexpr double width = 300, height = 260, left = 60, top = 40;
  const auto y_of = [](double error) { return top + height * (-1 - std::log10(error)) / 8; };
  std::string svg = text(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      static_cast<double>(panels.size()) * (width + left + 20) + 70, top + height + 50);
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const Panel& panel = panels[p];
    const double x0 = left + static_cast<double>(p) * (width + left + 20);
    const double step = width / static_cast<double>(panel.settings.size() - 1);
    svg += text("<text x=\"%.0f\" y=\"20\" font-weight=\"bold\">%s</text>\n", x0, panel.title.c_str());
    for (int decade = -9; decade <= -1; ++decade) {
      const double y = y_of(std::pow(10.0, decade));
      svg += text(
          "<path d=\"M%.1f %.1fh%.1f\" stroke=\"#e5e7eb\"/><text x=\"%.1f\" y=\"%.1f\" "
          "text-anchor=\"end\">1e%d</text>\n",
          x0, y, width, x0 - 6, y + 4, decade);
    }
    for (std::size_t s = 0; s < panel.settings.size(); ++s) {
      svg += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                  x0 + step * static_cast<double>(s), top + height + 18, panel.settings[s].c_str());
    }
    svg += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x0 + width / 2,
                top + height + 38, panel.x_label.c_str());
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      const Kind& k = kinds[kind];
      std::string path;
      for (std::size_t s = 0; s < panel.settings.size(); ++s) {
        path += text("%s%.1f %.1f", s ? "L" : "M", x0 + step * static_cast<double>(s),
                     y_of(panel.errors[kind][s]));
      }
      svg +=
          text("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path.c_str(), k.colour);
      if (k.bound > 0) {
        svg += text("<path d=\"M%.1f %.1fh%.1f\" stroke=\"%s\" stroke-dasharray=\"5 4\"/>\n", x0,
                    y_of(k.bound), width, k.colour);
      }
      if (p + 1 < panels.size()) continue;
      svg += text("<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n", x0 + width + 6,
                  y_of(panel.errors[kind].back()) + (kind == 2   ? 12
                                                     : kind == 3 ? -2
                                                                 : 4),
                  k.colour, k.name);
    }
  }
  return svg + "</svg>\n";
}

void run(int argc, char** argv) {
  blas::use_one_thread();
  if (!tiles::unavailable().empty()) fail("precision of tiles: " + tiles::unavailable());
  const std::vector<Index> depths = {16, 64, 256, 1024, 4096};
  const std::vector<double> decades = {0, 2, 4, 8, 16};
  std::vector<std::string> by_depth, by_decades;
  for (Index k : depths) by_depth.push_back(std::to_string(k));
  for (double d : decades) by_decades.push_back(text("%.0f", d));
  const std::vector<Panel> panels = {
      measure("numbers of one size", "k, how many products are summed", by_depth,
              [&](const char* p, std::size_t s, std::uint64_t draw) {
                return error_of(p, depths[s], 0, false, draw);
              }),
      measure("sums that cancel to a hundredth", "k, how many products are summed", by_depth,
              [&](const char* p, std::size_t s, std::uint64_t draw) {
                return error_of(p, depths[s], 0, true, draw);
              }),
      measure("numbers of different size, k = 256", "decades between the smallest and the largest",
              by_decades, [&](const char* p, std::size_t s, std::uint64_t draw) {
                return error_of(p, 256, decades[s], false, draw);
              })};
  std::printf(
      "## How far products are off\n\n%sWorst element of a 64 x 64 product, of (|A| |B|), median of nine "
      "draws.\n\n",
      machine().c_str());
  for (const Panel& panel : panels) {
    std::vector<std::vector<std::string>> rows = {{panel.x_label}};
    rows[0].insert(rows[0].end(), panel.settings.begin(), panel.settings.end());
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      std::vector<std::string>& row = rows.emplace_back();
      row.push_back(kinds[kind].bound > 0 ? text("%s (bound %.1e)", kinds[kind].name, kinds[kind].bound)
                                          : kinds[kind].name);
      for (double error : panel.errors[kind]) row.push_back(text("%.1e", error));
    }
    std::printf("%s:\n\n%s\n", panel.title.c_str(), table(rows).c_str());
  }
  if (argc > 1) write_atomically(argv[1], draw(panels));
}

}  // namespace
}  // namespace ef::bench

int main(int argc, char** argv) {
  return ef::run_program("bench-precision", [&] { ef::bench::run(argc, argv); });
}
