// Statistics of a few repeated measurements. All in double; what is not defined is NaN.
//
// For few numbers the t interval is the one to judge by: the percentile bootstrap of five numbers knows only
// their own spread, divided by n rather than n - 1, and covers about 84 % where it says 95 % (normal numbers;
// see the tests). It stands beside the t interval because it does not assume that the numbers are normal.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace ef {

double mean(std::span<const double> x);                // NaN for none
double standard_deviation(std::span<const double> x);  // of the sample, over n - 1; NaN for n < 2
double standard_error(std::span<const double> x);      // of the mean; NaN for n < 2

struct Interval {
  double low, high;
};

// t such that P(|T| < t) = share for Student's t with so many degrees of freedom, by the finite series for
// whole degrees (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4) and bisection. NaN unless 0 <= share < 1 and
// degrees >= 1.
double student_t(double share, std::int64_t degrees);

// The interval around the mean that covers that of normal numbers with probability `share`:
// mean +- t s / sqrt(n). NaN for n < 2.
Interval t_interval(std::span<const double> x, double share = 0.95);

// Percentile bootstrap of the mean (Efron 1979): the middle `share` of the means of n numbers drawn from x
// with replacement. Where there are no more than `resamples` different draws (n^n: up to five numbers for
// 10,000) it takes each of them once, and nothing is random; else resample i draws with the counters
// i n, ..., i n + n - 1 of a stream of its own, so the same x and seed give the same interval. NaN for n < 2.
Interval bootstrap_interval(std::span<const double> x, std::int64_t resamples = 10000, std::uint64_t seed = 1,
                            double share = 0.95);

// a - b for each key (a seed) that both have, in the order of keys; a NaN counts as missing.
std::vector<double> paired_differences(const std::map<std::uint64_t, double>& a,
                                       const std::map<std::uint64_t, double>& b);

}  // namespace ef
