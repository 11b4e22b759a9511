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

// P(T > t), by the same series. Between 0 and 1, right to some 1e-15 (so a tail below that is not to be
// trusted in its digits); 0 and 1 at t = +-infinity. NaN for a NaN, or unless degrees >= 1.
double student_tail(double t, std::int64_t degrees);

// One-sided p value of Student's t test that a mean is above a boundary: P(T > (centre - boundary) / error),
// where `error` is the standard error of the centre, with so many degrees of freedom.
// Where the error is 0 (or no more than rounding leaves: 1e-12 of the centre's distance from 0), the
// numbers show no spread to measure a distance by, and Student's test would call any distance certain. The
// sign test, which needs no spread, takes its place: of n = degrees + 1 numbers all are on one side, which
// has probability 2^-n if either side is as likely. So p is 2^-n above the boundary, and 1 at or below it:
// two or three numbers that are all the same prove nothing. NaN if one of centre, error and boundary is NaN,
// or degrees < 1.
double p_above(double centre, double error, std::int64_t degrees, double boundary);

// P values of several hypotheses, corrected for their number m by Holm's step-down method (Holm 1979,
// Scandinavian Journal of Statistics 6, 65-70): the k-th smallest becomes the largest of (m - j + 1) p_(j)
// over j <= k, at most 1. All with a corrected p below a level are rejected, and the probability that any of
// these was true is below that level, however the p depend on each other. In the order given. A NaN counts
// as 1. Where one p gets smaller, no other's corrected p gets larger.
std::vector<double> holm(std::span<const double> p);

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
