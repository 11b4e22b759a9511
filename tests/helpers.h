// What several test files share.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/tape.h"
#include "tests/catch.h"

namespace ef {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The text of the Expected that `call` throws; "nothing thrown" if it throws nothing.
template <class Expected = Error, class Call>
std::string thrown_by(const Call& call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  }
  return "nothing thrown";
}

// Fails unless `call` throws an Expected whose text contains every fragment.
template <class Expected = Error, class Call>
void check_throws(const Call& call, const std::vector<std::string>& fragments) {
  const std::string text = thrown_by<Expected>(call);
  for (const std::string& fragment : fragments) {
    INFO("thrown: " << text << "\nexpected in it: " << fragment);
    CHECK(contains(text, fragment));
  }
}

// Numbers with a gradient that a test owns, as a parameter is owned by Parameters.
struct Leaf {
  Shape shape;
  std::vector<Real> values, gradient;

  Leaf(const Shape& s, std::vector<Real> v)
      : shape(s), values(std::move(v)), gradient(values.size(), Real(0)) {}
  // Standard normal numbers.
  Leaf(const Shape& s, std::uint64_t seed) : Leaf(s, std::vector<Real>(static_cast<std::size_t>(s.size()))) {
    const Random random{seed, stream_of(Purpose::test, 7), 0};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = Real(random.normal(i));
  }
  Tensor tensor() { return {shape, values.data(), gradient.data(), "test.leaf"}; }
  Tensor constant() { return {shape, values.data(), nullptr, "test.constant"}; }
};

inline std::vector<Real> values_of(const Tensor& x) { return {x.data, x.data + x.size()}; }

// The largest |a - b|; infinity where one is NaN or the lengths differ.
inline double distance(std::span<const Real> a, std::span<const Real> b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = difference <= worst ? worst : (std::isnan(difference) ? HUGE_VAL : difference);
  }
  return worst;
}

// Only in the float32 test program, which replaces the global operator new: how often all threads called it.
long operator_new_calls();

}  // namespace ef
