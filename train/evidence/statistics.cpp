#include "train/evidence/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "engine/random.h"

namespace ef {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

// P(|T| < t) at t = tan(angle) sqrt(degrees).
double within(double angle, std::int64_t degrees) {
  const double sine = std::sin(angle), cosine = std::cos(angle);
  const bool odd = degrees % 2 == 1;
  // Odd: cos + (2/3) cos^3 + (2 4)/(3 5) cos^5 + ..., even: 1 + (1/2) cos^2 + (1 3)/(2 4) cos^4 + ..., up to
  // cos^(degrees - 2).
  double sum = 0, term = odd ? cosine : 1;
  for (std::int64_t power = odd ? 1 : 0; power <= degrees - 2; power += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(power + 1) / static_cast<double>(power + 2);
  }
  return odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
}

// n^n, or limit + 1 if that is more than the limit.
std::int64_t draws(std::int64_t n, std::int64_t limit) {
  std::int64_t count = 1;
  for (std::int64_t i = 0; i < n && count <= limit; ++i) count *= n;
  return std::min(count, limit + 1);
}

}  // namespace

double mean(std::span<const double> x) {
  double sum = 0;
  for (const double value : x) sum += value;
  return x.empty() ? undefined : sum / static_cast<double>(x.size());
}

double standard_deviation(std::span<const double> x) {
  if (x.size() < 2) return undefined;
  const double centre = mean(x);
  double squares = 0;
  for (const double value : x) squares += (value - centre) * (value - centre);
  return std::sqrt(squares / static_cast<double>(x.size() - 1));
}

double standard_error(std::span<const double> x) {
  return standard_deviation(x) / std::sqrt(static_cast<double>(x.size()));
}

double student_t(double share, std::int64_t degrees) {
  if (!(share >= 0 && share < 1) || degrees < 1) return undefined;
  double low = 0, high = std::numbers::pi / 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (within(middle, degrees) < share ? low : high) = middle;
  }
  return std::tan((low + high) / 2) * std::sqrt(static_cast<double>(degrees));
}

double student_tail(double t, std::int64_t degrees) {
  if (std::isnan(t) || degrees < 1) return undefined;
  const double angle = std::atan(std::fabs(t) / std::sqrt(static_cast<double>(degrees)));
  // Rounding may leave a little more than 1 within.
  const double beyond = std::isinf(t) ? 0 : std::clamp((1 - within(angle, degrees)) / 2, 0.0, 0.5);
  return t > 0 ? beyond : 1 - beyond;
}

double p_above(double centre, double error, std::int64_t degrees, double boundary) {
  if (std::isnan(centre) || std::isnan(error) || std::isnan(boundary) || degrees < 1) return undefined;
  if (error > 1e-12 * std::fabs(centre)) return student_tail((centre - boundary) / error, degrees);
  return centre > boundary ? std::exp2(-static_cast<double>(degrees + 1)) : 1;
}

std::vector<double> holm(std::span<const double> p) {
  const auto value = [&](std::size_t i) { return std::isnan(p[i]) ? 1 : p[i]; };
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return value(a) < value(b); });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, static_cast<double>(p.size() - k) * value(order[k]));
    adjusted[order[k]] = std::min(1.0, largest);
  }
  return adjusted;
}

Interval t_interval(std::span<const double> x, double share) {
  const auto degrees = static_cast<std::int64_t>(x.size()) - 1;
  const double reach = student_t(share, degrees) * standard_error(x), centre = mean(x);
  return {centre - reach, centre + reach};
}

Interval bootstrap_interval(std::span<const double> x, std::int64_t resamples, std::uint64_t seed,
                            double share) {
  if (x.size() < 2 || resamples < 1) return {undefined, undefined};
  const std::size_t n = x.size();
  const std::int64_t all = draws(static_cast<std::int64_t>(n), resamples);
  const bool exact = all <= resamples;
  const Random random{seed, stream_of(Purpose::bootstrap), 0};
  std::vector<double> means;
  for (std::int64_t i = 0; i < (exact ? all : resamples); ++i) {
    auto digits = static_cast<std::uint64_t>(i);  // of i in base n: which of x are drawn
    double sum = 0;
    for (std::size_t k = 0; k < n; ++k, digits /= n) {
      sum += x[exact ? digits % n : random.below(static_cast<std::uint64_t>(i) * n + k, n)];
    }
    means.push_back(sum / static_cast<double>(n));
  }
  std::sort(means.begin(), means.end());
  const auto cut = static_cast<std::size_t>((1 - share) / 2 * static_cast<double>(means.size()));
  return {means[cut], means[means.size() - 1 - cut]};
}

std::vector<double> paired_differences(const std::map<std::uint64_t, double>& a,
                                       const std::map<std::uint64_t, double>& b) {
  std::vector<double> differences;
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end() || std::isnan(value) || std::isnan(other->second)) continue;
    differences.push_back(value - other->second);
  }
  return differences;
}

}  // namespace ef
