// Statistics of a few numbers: known answers, exact enumeration, and coverage on simulated data.
#include "train/evidence/statistics.h"

#include <limits>
#include <numbers>

#include "engine/random.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

// The numbers [i n, (i + 1) n) of a standard normal stream.
std::vector<double> normals(std::uint64_t seed, std::uint64_t i, std::uint64_t n) {
  const Random random{seed, stream_of(Purpose::test, 21), 0};
  std::vector<double> x;
  for (std::uint64_t k = 0; k < n; ++k) x.push_back(random.normal(i * n + k));
  return x;
}

bool covers(const Interval& interval, double value) {
  return interval.low <= value && value <= interval.high;
}

// All n^n means of n draws from x with replacement, sorted.
std::vector<double> all_means(const std::vector<double>& x) {
  std::vector<double> sums = {0};
  for (std::size_t k = 0; k < x.size(); ++k) {
    std::vector<double> next;
    for (const double sum : sums)
      for (const double value : x) next.push_back(sum + value);
    sums = std::move(next);
  }
  for (double& sum : sums) sum /= static_cast<double>(x.size());
  std::sort(sums.begin(), sums.end());
  return sums;
}

}  // namespace

TEST_CASE("mean, deviation and error of a few numbers by hand", "[statistics]") {
  const std::vector<double> x = {2, 4, 4, 4, 5, 5, 7, 9};
  CHECK(mean(x) == 5);
  CHECK(standard_deviation(x) == Approx(std::sqrt(32.0 / 7)));
  CHECK(standard_error(x) == Approx(std::sqrt(32.0 / 7 / 8)));
}

TEST_CASE("one number has a mean but no interval, none has nothing", "[statistics]") {
  const std::vector<double> one = {3}, none;
  CHECK(mean(one) == 3);
  CHECK(std::isnan(mean(none)));
  for (const std::vector<double>& x : {one, none}) {
    CHECK(std::isnan(standard_deviation(x)));
    CHECK(std::isnan(standard_error(x)));
    for (const Interval& interval : {t_interval(x), bootstrap_interval(x)}) {
      CHECK(std::isnan(interval.low));
      CHECK(std::isnan(interval.high));
    }
  }
  CHECK(std::isnan(bootstrap_interval(std::vector<double>{1, 2}, 0).low));
}

TEST_CASE("Student's t as in the tables", "[statistics]") {
  // Two-sided 95 % and 99 % points.
  const struct {
    std::int64_t degrees;
    double t95, t99;
  } table[] = {{1, 12.7062, 63.6567}, {2, 4.30265, 9.92484},  {3, 3.18245, 5.84091}, {4, 2.77645, 4.60409},
               {9, 2.26216, 3.24984}, {10, 2.22814, 3.16927}, {30, 2.04227, 2.75},   {99, 1.98422, 2.62641}};
  for (const auto& row : table) {
    INFO(row.degrees << " degrees of freedom");
    CHECK(student_t(0.95, row.degrees) == Approx(row.t95).epsilon(1e-5));
    CHECK(student_t(0.99, row.degrees) == Approx(row.t99).epsilon(1e-5));
  }
  CHECK(student_t(0.95, 100000) == Approx(1.959988).epsilon(1e-6));  // nearly normal
  CHECK(student_t(0, 7) == Approx(0).margin(1e-12));
  CHECK(std::isnan(student_t(1, 7)));
  CHECK(std::isnan(student_t(0.95, 0)));
}

TEST_CASE("tails of Student's t as in the tables, and by formula", "[statistics]") {
  // One-sided points of the tables.
  const struct {
    std::int64_t degrees;
    double t, tail;
  } table[] = {{1, 12.7062, 0.025}, {2, 2.91999, 0.05}, {3, 5.84091, 0.005}, {4, 2.77645, 0.025},
               {9, 3.24984, 0.005}, {10, 1.37218, 0.1}, {30, 2.75, 0.005},   {99, 1.98422, 0.025}};
  for (const auto& row : table) {
    INFO(row.degrees << " degrees of freedom");
    CHECK(student_tail(row.t, row.degrees) == Approx(row.tail).epsilon(2e-5));
    CHECK(student_tail(-row.t, row.degrees) == Approx(1 - row.tail).epsilon(1e-6));
    CHECK(student_tail(0, row.degrees) == Approx(0.5));
  }
  // One degree: Cauchy; two: 1/2 - t / (2 sqrt(2 + t^2)).
  for (const double t : {-3.0, -0.1, 0.2, 1.0, 8.0, 1e3}) {
    INFO(t);
    CHECK(student_tail(t, 1) == Approx(0.5 - std::atan(t) / std::numbers::pi));
    CHECK(student_tail(t, 2) == Approx(0.5 - t / (2 * std::sqrt(2 + t * t))));
  }
  CHECK(student_tail(1.959964, 1000000) == Approx(0.025).epsilon(1e-4));  // nearly normal
  // It undoes student_t: the two tails beyond t have what is not within.
  for (const std::int64_t degrees : {1, 2, 3, 4, 7, 30, 3999})
    CHECK(2 * student_tail(student_t(0.95, degrees), degrees) == Approx(0.05).epsilon(1e-9));
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(student_tail(infinity, 4) == 0);
  CHECK(student_tail(-infinity, 4) == 1);
  for (const std::int64_t degrees : {1, 2, 5, 40}) {
    CHECK(student_tail(1e200, degrees) >= 0);
    CHECK(student_tail(1e200, degrees) < 1e-15);
  }
  CHECK(std::isnan(student_tail(std::nan(""), 4)));
  CHECK(std::isnan(student_tail(1, 0)));
}

TEST_CASE("the p value of a mean above a boundary", "[statistics]") {
  // {1, 2, 3} against 0: t = 2 sqrt(3) with 2 degrees.
  const std::vector<double> x = {1, 2, 3};
  const double t = 2 * std::sqrt(3.0);
  CHECK(p_above(mean(x), standard_error(x), 2, 0) == Approx(0.5 - t / (2 * std::sqrt(2 + t * t))));
  CHECK(p_above(mean(x), standard_error(x), 2, 2) == Approx(0.5));
  CHECK(p_above(mean(x), standard_error(x), 2, 4) == Approx(1 - p_above(mean(x), standard_error(x), 2, 0)));
  // It is .025 where the end of the 95 % interval is the boundary.
  CHECK(p_above(mean(x), standard_error(x), 2, t_interval(x).low) == Approx(0.025).epsilon(1e-9));
  // Without spread, the sign test: n numbers on one side, 2^-n; never 0, and never NaN.
  CHECK(p_above(1, 0, 1, 0) == 0.25);
  CHECK(p_above(1, 0, 4, 0) == 1.0 / 32);
  CHECK(p_above(1, 1e-17, 4, 0) == 1.0 / 32);  // what rounding leaves is no spread
  CHECK(p_above(1, 0, 4, 1) == 1);
  CHECK(p_above(0, 0, 4, 0) == 1);
  CHECK(p_above(0, 0, 4, -1) == 1.0 / 32);
  CHECK(p_above(-1, 0, 4, 0) == 1);
  CHECK(std::isnan(p_above(1, std::nan(""), 4, 0)));
  CHECK(std::isnan(p_above(std::nan(""), 1, 4, 0)));
  CHECK(std::isnan(p_above(1, 1, 0, 0)));
}

TEST_CASE("Holm's correction: by hand, in any order, and monotone", "[statistics]") {
  const auto check = [](const std::vector<double>& p, const std::vector<double>& expected) {
    const std::vector<double> got = holm(p);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(expected[i]));
  };
  check({0.01, 0.04, 0.03, 0.005}, {0.03, 0.06, 0.06, 0.02});  // .04 gets what .03 has: no smaller
  check({0.2}, {0.2});
  check({0.5, 0.6}, {1, 1});
  check({0.02, 0.02}, {0.04, 0.04});
  check({0.02, std::nan("")}, {0.04, 1});  // a NaN counts as 1, and in the number
  check({0, 1}, {0, 1});
  CHECK(holm(std::vector<double>{}).empty());
  // A smaller p anywhere makes no corrected p larger, and the order of the p is that of the corrected ones.
  const Random random{9, stream_of(Purpose::test, 22), 0};
  std::uint64_t draw = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<double> p;
    for (int k = 0; k < 6; ++k) p.push_back(std::pow(random.uniform(draw++), 3));
    const std::vector<double> before = holm(p);
    for (std::size_t a = 0; a < p.size(); ++a) {
      CHECK(before[a] >= p[a]);
      for (std::size_t b = 0; b < p.size(); ++b)
        if (p[a] < p[b]) CHECK(before[a] <= before[b]);
    }
    const std::size_t smaller = random.below(draw++, p.size());
    p[smaller] *= random.uniform(draw++);
    const std::vector<double> after = holm(p);
    for (std::size_t a = 0; a < p.size(); ++a) CHECK(after[a] <= before[a]);
  }
}

TEST_CASE("the t interval covers the mean in 95 of 100 cases, the bootstrap of five in fewer",
          "[statistics]") {
  const std::uint64_t repeats = 3000;
  for (const std::uint64_t n : {2u, 5u, 12u}) {
    std::uint64_t covered = 0;
    for (std::uint64_t i = 0; i < repeats; ++i) covered += covers(t_interval(normals(n, i, n)), 0) ? 1 : 0;
    INFO(n << " numbers");
    CHECK(static_cast<double>(covered) / repeats == Approx(0.95).margin(0.015));  // nearly 4 deviations
  }
  std::uint64_t covered = 0;
  const std::uint64_t fewer = 600;
  for (std::uint64_t i = 0; i < fewer; ++i)
    covered += covers(bootstrap_interval(normals(5, i, 5)), 0) ? 1 : 0;
  CHECK(static_cast<double>(covered) / fewer == Approx(0.836).margin(0.05));
}

TEST_CASE("the t interval by hand", "[statistics]") {
  const Interval interval = t_interval(std::vector<double>{1, 2, 3});
  CHECK(interval.low == Approx(2 - 4.30265 / std::sqrt(3.0)).epsilon(1e-5));
  CHECK(interval.high == Approx(2 + 4.30265 / std::sqrt(3.0)).epsilon(1e-5));
}

TEST_CASE("the bootstrap of few numbers takes each possible draw once", "[statistics]") {
  // Of {0, 3, 9}: 27 draws; a share of 5 % leaves 0 of them out at each end, one of 25 % three.
  const std::vector<double> x = {9, 0, 3}, means = all_means(x);
  REQUIRE(means.size() == 27);
  CHECK(bootstrap_interval(x).low == 0);
  CHECK(bootstrap_interval(x).high == 9);
  // Sums: 0 once, 3 three times, 6 three times, 9 four times, 12 six times, 15 three times, ...
  CHECK(bootstrap_interval(x, 27, 1, 0.75).low == Approx(1));
  for (const double share : {0.5, 0.6, 0.75, 0.8, 0.9}) {
    const auto cut = static_cast<std::size_t>((1 - share) / 2 * 27);
    const Interval interval = bootstrap_interval(x, 10000, 1, share);
    CHECK(interval.low == Approx(means[cut]));
    CHECK(interval.high == Approx(means[26 - cut]));
  }
  // Nothing is random then.
  CHECK(bootstrap_interval(x, 10000, 1).low == bootstrap_interval(x, 10000, 2).low);
}

TEST_CASE("the bootstrap by drawing agrees with the exact one", "[statistics]") {
  const std::vector<double> x = normals(3, 0, 6), means = all_means(x);
  REQUIRE(means.size() == 46656);
  const std::size_t cut = 46656 / 40;
  const Interval drawn = bootstrap_interval(x, 40000);
  CHECK(drawn.low == Approx(means[cut]).margin(0.02));
  CHECK(drawn.high == Approx(means[46655 - cut]).margin(0.02));
  const Interval again = bootstrap_interval(x, 40000);
  CHECK(drawn.low == again.low);
  CHECK(drawn.high == again.high);
  CHECK(drawn.low != bootstrap_interval(x, 40000, 2).low);  // another seed, other draws
}

TEST_CASE("pairs are matched by key, and what is missing is left out", "[statistics]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::map<std::uint64_t, double> a = {{1, 5}, {2, 7}, {4, 1}, {6, nan}},
                                        b = {{2, 4}, {3, 9}, {4, 2}, {6, 1}};
  CHECK(paired_differences(a, b) == std::vector<double>{3, -1});
  CHECK(paired_differences(b, a) == std::vector<double>{-3, 1});
  CHECK(paired_differences(a, {}).empty());
}

TEST_CASE("pairing removes what both runs of a seed share", "[statistics]") {
  // b = shared + noise, a = b + 0.3 + noise: the shared part is a hundred times the noise.
  const std::vector<double> shared = normals(5, 0, 8), noise = normals(6, 0, 16);
  std::map<std::uint64_t, double> a, b;
  std::vector<double> as, bs;
  for (std::size_t i = 0; i < 8; ++i) {
    bs.push_back(b[i] = shared[i] + 0.01 * noise[2 * i]);
    as.push_back(a[i] = shared[i] + 0.3 + 0.01 * noise[2 * i + 1]);
  }
  const std::vector<double> differences = paired_differences(a, b);
  const Interval paired = t_interval(differences);
  CHECK(covers(paired, 0.3));
  CHECK(paired.low > 0);
  const double unpaired = std::hypot(standard_error(as), standard_error(bs));
  CHECK(unpaired > 10 * standard_error(differences));
  CHECK(mean(differences) == Approx(mean(as) - mean(bs)));
}
