// The ops to compose with: their values against plain loops, what they say about mistakes, and what is
// composed of them against the fused ops. Their gradients are checked in ops_test.cpp.
#include <array>
#include <functional>
#include <limits>
#include <map>

#include "engine/gradcheck.h"
#include "engine/ops.h"
#include "engine/place_by_place.h"
#include "tests/helpers.h"

namespace ef {

// own_ops.cpp
Tensor window_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double factor,
                        Index window);

namespace {

using Values = std::vector<Real>;
using Place = std::array<Index, 4>;
constexpr Real infinity = std::numeric_limits<Real>::infinity();
const Real nan = std::numeric_limits<Real>::quiet_NaN();

// ---- Plain loops
// ---------------------------------------------------------------------------------------------

// Calls visit(place) for each place of a tensor, in the order of its numbers.
void each_place(const Shape& shape, const std::function<void(const Place&)>& visit) {
  Place place{};
  for (Index i = 0; i < shape.size(); ++i) {
    Index rest = i;
    for (int axis = shape.rank - 1; axis >= 0; --axis) {
      place[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    visit(place);
  }
}

// The number of x at a place of `shape`, to which x is repeated: its axes are the last ones, and it has only
// place 0 on an axis of size 1.
Real number(const Tensor& x, const Place& place, const Shape& shape) {
  Index at = 0;
  for (int axis = 0; axis < x.shape.rank; ++axis) {
    const Index p = place[axis + shape.rank - x.shape.rank];
    at = at * x.shape[axis] + (x.shape[axis] == 1 ? 0 : p);
  }
  return x.data[at];
}

Real number(const Tensor& x, const Place& place) { return number(x, place, x.shape); }

// y[place] for each place of `shape`, as `f` says it.
Values loop(const Shape& shape, const std::function<Real(const Place&)>& f) {
  Values values;
  each_place(shape, [&](const Place& place) { values.push_back(f(place)); });
  return values;
}

Place with(Place place, int axis, Index at) {
  place[axis] = at;
  return place;
}

// The place of a result whose axis was removed, with that axis at 0 again.
Place inserted(const Place& place, int axis) {
  Place result{};
  for (std::size_t i = 0, from = 0; i < 4; ++i)
    result[i] = i == static_cast<std::size_t>(axis) || from == 4 ? 0 : place[from++];
  return result;
}

// Shapes that fit [2, 3, 1, 5] and [4, 3] in every way there is.
const std::vector<std::pair<Shape, std::vector<Shape>>>& pairs() {
  static const std::vector<std::pair<Shape, std::vector<Shape>>> all = {
      {{2, 3, 1, 5},
       {{2, 3, 1, 5},
        {3, 1, 5},
        {1, 5},
        {5},
        {1, 3, 1, 5},
        {2, 1, 1, 5},
        {2, 3, 1, 1},
        {1, 1, 1, 5},
        {2, 1, 1, 1},
        {1, 3, 1, 1},
        {1, 1, 1, 1}}},
      {{2, 2, 3, 3}, {{2, 2, 3, 3}, {3, 3}, {1, 2, 1, 3}, {2, 1, 3, 1}, {1, 2, 3, 1}, {2, 1, 1, 3}}},
      {{4, 3}, {{4, 3}, {3}, {4, 1}, {1, 3}, {1, 1}}},
      {{1}, {{1}}},
      {{4, 1}, {{1}, {4, 1}, {1, 1}}},
      {{3, 0, 2}, {{2}, {0, 2}, {1, 0, 1}, {1, 1, 2}}}};
  return all;
}

TEST_CASE("ops that work place by place follow their formulas", "[compose]") {
  using Formula = std::function<double(double x, double c)>;
  const std::map<std::string, Formula> formulas = {
      {"negate", [](double x, double) { return -x; }},
      {"exp", [](double x, double) { return std::exp(x); }},
      {"log", [](double x, double) { return std::log(x); }},
      {"sqrt", [](double x, double) { return std::sqrt(x); }},
      {"tanh", [](double x, double) { return std::sinh(x) / std::cosh(x); }},
      {"sigmoid", [](double x, double) { return std::exp(x) / (1 + std::exp(x)); }},
      {"softsign", [](double x, double) { return x < 0 ? x / (1 - x) : x / (1 + x); }},
      {"scale", [](double x, double c) { return c * x; }},
      {"add", [](double x, double c) { return x + c; }},
      {"power", [](double x, double c) { return x >= 0 ? std::exp(c * std::log(x)) : std::nan(""); }},
      {"minimum", [](double x, double c) { return std::isnan(x) ? x : std::min(x, c); }},
      {"maximum", [](double x, double c) { return std::isnan(x) ? x : std::max(x, c); }},
      {"less", [](double x, double c) { return x < c ? 1 : 0; }},
      {"at_most", [](double x, double c) { return x <= c ? 1 : 0; }},
      {"greater", [](double x, double c) { return x > c ? 1 : 0; }},
      {"at_least", [](double x, double c) { return x >= c ? 1 : 0; }},
  };
  Values points = {nan};
  for (int i = -40; i <= 40; ++i) points.push_back(Real(i) / 8);  // 0.625 is among them
  Leaf x({static_cast<Index>(points.size())}, points);
  Tape tape;
  const Tape::Scope scope(tape);
  std::size_t tried = 0;
  for (const PlaceByPlace& op : place_by_place_ops()) {
    const auto formula = formulas.find(op.name);
    if (op.binary || formula == formulas.end()) continue;
    for (const double c : {0.625, -1.5}) {
      const Tensor y = op.unary ? op.unary(x.tensor()) : op.with_constant(x.tensor(), c);
      for (std::size_t i = 0; i < points.size(); ++i) {
        INFO(op.name << " at " << points[i] << ", c = " << c);
        const double expected = formula->second(points[i], c);
        if (std::isnan(expected))
          CHECK(std::isnan(y.data[i]));
        else if (std::isinf(expected))
          CHECK(y.data[i] == expected);
        else
          CHECK(std::fabs(y.data[i] - expected) <= 1e-14 * std::max(1.0, std::fabs(expected)));
      }
    }
    ++tried;
  }
  CHECK(tried == formulas.size());
  Leaf negative({2}, Values{-2, 0});
  CHECK(values_of(power(negative.tensor(), 3)) == Values{-8, 0});
  CHECK(values_of(power(negative.tensor(), 0)) == Values{1, 1});
}

TEST_CASE("of two tensors the second is repeated to fit the first", "[compose]") {
  const std::map<std::string, std::function<Real(Real, Real)>> formulas = {
      {"add", [](Real a, Real b) { return a + b; }},
      {"subtract", [](Real a, Real b) { return a - b; }},
      {"mul", [](Real a, Real b) { return a * b; }},
      {"divide", [](Real a, Real b) { return a / b; }},
      {"minimum", [](Real a, Real b) { return std::min(a, b); }},
      {"maximum", [](Real a, Real b) { return std::max(a, b); }},
  };
  Tape tape;
  const Tape::Scope scope(tape);
  std::size_t tried = 0;
  for (const PlaceByPlace& op : place_by_place_ops()) {
    const auto formula = formulas.find(op.name);
    if (!op.binary || formula == formulas.end()) continue;
    ++tried;
    for (const auto& pair : pairs()) {
      const Shape& shape = pair.first;
      for (const Shape& other : pair.second) {
        INFO(op.name << " " << shape.str() << " " << other.str());
        Leaf a(shape, 1), b(other, 2);
        const Tensor x = a.tensor(), z = b.tensor(), y = op.binary(x, z);
        CHECK(y.shape == shape);
        CHECK(values_of(y) == loop(shape, [&](const Place& p) {
                return formula->second(number(x, p, shape), number(z, p, shape));
              }));
        CHECK(values_of(expand(z, shape)) ==
              loop(shape, [&](const Place& p) { return number(z, p, shape); }));
      }
    }
  }
  CHECK(tried == formulas.size());
  // A NaN on either side passes.
  for (const auto op : {static_cast<Tensor (*)(const Tensor&, const Tensor&)>(minimum),
                        static_cast<Tensor (*)(const Tensor&, const Tensor&)>(maximum)}) {
    Leaf a({2}, Values{nan, 1}), b({2}, Values{1, nan});
    const Tensor y = op(a.tensor(), b.tensor());
    CHECK(std::isnan(y.data[0]));
    CHECK(std::isnan(y.data[1]));
  }
}

TEST_CASE("where chooses, and lets nothing of what was not chosen pass", "[compose]") {
  Tape tape;
  const Tape::Scope scope(tape);
  for (const auto& pair : pairs()) {
    const Shape& shape = pair.first;
    for (const Shape& mask_shape : pair.second) {
      for (const Shape& other : pair.second) {
        INFO(shape.str() << ", mask " << mask_shape.str() << ", b " << other.str());
        Leaf a(shape, 1), b(other, 2), m(mask_shape, 3);
        const Tensor mask = greater(m.tensor(), 0.2), x = a.tensor(), z = b.tensor();
        CHECK_FALSE(static_cast<bool>(mask.grad));
        const auto chosen = [&](const Place& p) { return number(m.tensor(), p, shape) > 0.2; };
        CHECK(values_of(where(mask, x, z)) == loop(shape, [&](const Place& p) {
                return chosen(p) ? number(x, p, shape) : number(z, p, shape);
              }));
        CHECK(values_of(where(mask, x, 7)) ==
              loop(shape, [&](const Place& p) { return chosen(p) ? number(x, p, shape) : 7; }));
      }
    }
  }
  Leaf a({3}, Values{1, nan, infinity}), m({3}, Values{1, 0, 0});
  const Tensor y = where(m.constant(), a.tensor(), 5);
  CHECK(values_of(y) == Values{1, 5, 5});
  const Values seed = {2, nan, infinity};  // what comes back for the others does not pass either
  tape.backward(y, seed);
  CHECK(a.gradient == Values{2, 0, 0});
}

TEST_CASE("masks by position", "[compose]") {
  Tape tape;
  const Tape::Scope scope(tape);
  CHECK(values_of(causal_mask(3)) == Values{1, 0, 0, 1, 1, 0, 1, 1, 1});
  CHECK(values_of(window_mask(4, 2)) == Values{1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1});
  CHECK(values_of(window_mask(3, 1)) == Values{1, 0, 0, 0, 1, 0, 0, 0, 1});
  CHECK(values_of(window_mask(3, 9)) == values_of(causal_mask(3)));
  const Tensor mask = position_mask(2, 3, [](Index row, Index column) { return row == 1 && column == 0; });
  CHECK(mask.shape == Shape{2, 3});
  CHECK(values_of(mask) == Values{0, 0, 0, 1, 0, 0});
  CHECK_FALSE(static_cast<bool>(mask.grad));
  CHECK(tape.nodes() == 0);
}

TEST_CASE("slices, joins, gathers and reductions are loops", "[compose]") {
  Tape tape;
  const Tape::Scope scope(tape);
  for (const Shape& shape : {Shape{7}, Shape{3, 5}, Shape{1, 1}, Shape{4, 1, 3}, Shape{2, 3, 4, 3}}) {
    Leaf leaf(shape, 1);
    const Tensor x = leaf.tensor();
    for (int axis = 0; axis < shape.rank; ++axis) {
      INFO(shape.str() << ", axis " << axis);
      const Index n = shape[axis], last = n - 1;
      const auto at = [axis](const Place& p) { return p[axis]; };

      const Index first = n / 3, count = n - first;
      Shape expected = shape;
      expected[axis] = count;
      const Tensor part = slice(x, axis, first, count);
      CHECK(part.shape == expected);
      CHECK(values_of(part) ==
            loop(expected, [&](const Place& p) { return number(x, with(p, axis, at(p) + first)); }));
      CHECK(values_of(concatenate({slice(x, axis, 0, first), part}, axis)) == leaf.values);
      const Tensor nothing = slice(x, axis, n, 0);
      CHECK(nothing.shape[axis] == 0);
      CHECK(values_of(concatenate({nothing, x, nothing}, axis)) == leaf.values);

      const std::vector<std::int32_t> ids = {static_cast<std::int32_t>(last), 0,
                                             static_cast<std::int32_t>(n / 2),
                                             static_cast<std::int32_t>(last)};
      expected[axis] = 4;
      const Tensor gathered = gather(x, axis, ids);
      CHECK(gathered.shape == expected);
      CHECK(values_of(gathered) ==
            loop(expected, [&](const Place& p) { return number(x, with(p, axis, ids[at(p)])); }));

      Shape removed;
      for (int i = 0; i < shape.rank; ++i) {
        if (i != axis) removed.dims[removed.rank++] = shape[i];
      }
      const bool scalar = removed.rank == 0;
      if (scalar) removed = {1};
      // A place of the result, as the place of x where its line begins.
      const auto line = [&](const Place& p) { return scalar ? Place{} : inserted(p, axis); };
      std::vector<std::int32_t> picks;
      for (Index i = 0; i < removed.size(); ++i) picks.push_back(static_cast<std::int32_t>((5 * i + 1) % n));
      std::size_t next = 0;
      const Tensor picked = pick(x, axis, picks);
      CHECK(picked.shape == removed);
      CHECK(values_of(picked) ==
            loop(removed, [&](const Place& p) { return number(x, with(line(p), axis, picks[next++])); }));

      const Tensor largest = max(x, axis), lse = log_sum_exp(x, axis);
      CHECK(largest.shape == removed);
      CHECK(lse.shape == removed);
      CHECK(values_of(largest) == loop(removed, [&](const Place& p) {
              Real top = -infinity;
              for (Index k = 0; k < n; ++k) top = std::max(top, number(x, with(line(p), axis, k)));
              return top;
            }));
      CHECK(distance(values_of(lse), loop(removed, [&](const Place& p) {
                       Real total = 0;
                       for (Index k = 0; k < n; ++k) total += std::exp(number(x, with(line(p), axis, k)));
                       return std::log(total);
                     })) < 1e-14);

      const Tensor running = cumulative_sum(x, axis);
      CHECK(running.shape == shape);
      CHECK(distance(values_of(running), loop(shape, [&](const Place& p) {
                       Real total = 0;
                       for (Index k = 0; k <= at(p); ++k) total += number(x, with(p, axis, k));
                       return total;
                     })) < 1e-14);
      if (shape.rank < 4) CHECK(insert_axis(x, axis).shape[axis] == 1);
    }
  }
  Leaf x({2, 3}, 1);
  CHECK(insert_axis(x.tensor(), 0).shape == Shape{1, 2, 3});
  CHECK(insert_axis(x.tensor(), 1).shape == Shape{2, 1, 3});
  CHECK(insert_axis(x.tensor(), 2).shape == Shape{2, 3, 1});
  CHECK(insert_axis(x.tensor(), 1).data == x.values.data());
}

TEST_CASE("max and log_sum_exp at their corners", "[compose]") {
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf x({4, 3}, Values{1, nan, 3, 2, 5, 5, -infinity, -infinity, -infinity, 1000, 1000, -infinity});
  const Tensor largest = max(x.tensor(), 1), lse = log_sum_exp(x.tensor(), 1);
  CHECK(std::isnan(largest.data[0]));
  CHECK(largest.data[1] == 5);
  CHECK(largest.data[2] == -infinity);
  CHECK(std::isnan(lse.data[0]));
  CHECK(lse.data[2] == -infinity);
  Leaf hidden({2, 2}, Values{-infinity, nan, nan, -infinity});
  for (const Real value : values_of(log_sum_exp(hidden.tensor(), 1))) CHECK(std::isnan(value));
  for (const Real value : values_of(max(hidden.tensor(), 1))) CHECK(std::isnan(value));
  CHECK(std::fabs(lse.data[3] - (1000 + std::log(2.0))) < 1e-12);  // nothing overflows
  const Values ones(4, Real(1));
  tape.backward(largest, ones);
  CHECK(x.gradient == Values{0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0});  // the first of equal ones
  x.gradient.assign(12, Real(0));
  tape.backward(lse, ones);
  CHECK(Values(x.gradient.begin() + 6, x.gradient.end()) == Values{0, 0, 0, 0.5, 0.5, 0});
}

TEST_CASE("where both are equal the first has the gradient; at a constant none", "[compose]") {
  for (const bool least : {false, true}) {
    Leaf a({3}, Values{1, 2, 3}), b({3}, Values{2, 2, 2});
    Tape tape;
    const Tape::Scope scope(tape);
    tape.backward(sum(least ? minimum(a.tensor(), b.tensor()) : maximum(a.tensor(), b.tensor())));
    CHECK(a.gradient == (least ? Values{1, 1, 0} : Values{0, 1, 1}));
    CHECK(b.gradient == (least ? Values{0, 0, 1} : Values{1, 0, 0}));
    a.gradient.assign(3, Real(0));
    tape.backward(sum(least ? minimum(a.tensor(), 2) : maximum(a.tensor(), 2)));
    CHECK(a.gradient == (least ? Values{1, 0, 0} : Values{0, 0, 1}));
  }
}

// ---- Composed and fused
// --------------------------------------------------------------------------------------

// Values and gradients of two functions of the same inputs agree to 1e-12.
using Function = std::function<Tensor(const std::vector<Tensor>&)>;
void check_twins(const Function& f, const Function& g, const std::vector<Shape>& shapes) {
  std::vector<Values> results[2];
  for (const int which : {0, 1}) {
    std::vector<Leaf> leaves;
    for (const Shape& shape : shapes) leaves.emplace_back(shape, 10 + leaves.size());
    std::vector<Tensor> in;
    for (Leaf& leaf : leaves) in.push_back(leaf.tensor());
    Tape tape;
    const Tape::Scope scope(tape);
    const Tensor y = which ? g(in) : f(in);
    tape.backward(y, random_input(y.shape, 5).values);
    results[which].push_back(values_of(y));
    for (Leaf& leaf : leaves) results[which].push_back(leaf.gradient);
  }
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    INFO((i == 0 ? "values" : "gradient of input " + std::to_string(i - 1)));
    CHECK(distance(results[0][i], results[1][i]) < 1e-12);
    double largest = 0;  // or all would agree on nothing
    for (const Real v : results[0][i]) largest = std::max(largest, std::fabs(static_cast<double>(v)));
    CHECK(largest > 1e-3);
  }
}

int last(const Tensor& x) { return x.shape.rank - 1; }

// A reduction over the last axis, which stays as a 1.
template <class Reduce>
Tensor keeping(Reduce reduce, const Tensor& x) {
  const Tensor y = reduce(x, last(x));
  return x.shape.rank == 1 ? y : insert_axis(y, last(x));
}
Tensor mean_of(const Tensor& x, int axis) { return mean(x, axis); }
Tensor sum_of(const Tensor& x, int axis) { return sum(x, axis); }

Tensor composed_softmax(const Tensor& x) {
  const Tensor e = exp(subtract(x, keeping(max, x)));
  return divide(e, keeping(sum_of, e));
}

TEST_CASE("softmax, composed", "[compose]") {
  for (const Shape& shape : {Shape{7}, Shape{5, 3}, Shape{2, 3, 4, 9}}) {
    INFO(shape.str());
    const Function fused = [](const auto& in) { return softmax(in[0]); };
    check_twins(fused, [](const auto& in) { return composed_softmax(in[0]); }, {shape});
    check_twins(fused, [](const auto& in) { return exp(subtract(in[0], keeping(log_sum_exp, in[0]))); },
                {shape});
  }
}

TEST_CASE("norms, composed", "[compose]") {
  const double epsilon = 1e-3;
  for (const Shape& shape : {Shape{7}, Shape{5, 6}, Shape{2, 3, 9}}) {
    INFO(shape.str());
    const Shape channels{shape.last()};
    check_twins([=](const auto& in) { return layer_norm(in[0], in[1], in[2], epsilon); },
                [=](const auto& in) {
                  const Tensor d = subtract(in[0], keeping(mean_of, in[0]));
                  const Tensor variance = keeping(mean_of, mul(d, d));
                  return add(mul(divide(d, sqrt(add(variance, epsilon))), in[1]), in[2]);
                },
                {shape, channels, channels});
    check_twins([=](const auto& in) { return rms_norm(in[0], in[1], epsilon); },
                [=](const auto& in) {
                  const Tensor square = add(keeping(mean_of, power(in[0], 2)), epsilon);
                  return mul(mul(in[0], power(square, -0.5)), in[1]);
                },
                {shape, channels});
  }
}

// softmax(scale q k^T) v over what the mask lets a query see.
Tensor composed_attention(const std::vector<Tensor>& in, Index heads, double factor, const Tensor& mask) {
  const Tensor q = split_heads(in[0], heads), k = split_heads(in[1], heads), v = split_heads(in[2], heads);
  const Tensor logits = where(mask, scale(matmul(q, k, false, true), factor), unseen);
  return merge_heads(matmul(composed_softmax(logits), v));
}

TEST_CASE("causal attention, composed", "[compose]") {
  for (const Index tokens : {1, 5, 70}) {
    INFO(tokens << " tokens");
    const Shape shape{2, tokens, 6};
    const Function fused = [](const auto& in) { return causal_attention(in[0], in[1], in[2], 3, 0.6); };
    const Function composed = [=](const auto& in) {
      return composed_attention(in, 3, 0.6, causal_mask(tokens));
    };
    if (tokens > 1) {
      check_twins(fused, composed, {shape, shape, shape});
      continue;
    }
    // One token sees itself, whatever q and k are: nothing of them reaches the result.
    Leaf q(shape, 1), k(shape, 2), v(shape, 3);
    Tape tape;
    const Tape::Scope scope(tape);
    const Tensor y = composed({q.tensor(), k.tensor(), v.tensor()});
    CHECK(distance(values_of(y), v.values) < 1e-15);
    tape.backward(sum(y));
    CHECK(distance(q.gradient, Values(q.values.size(), Real(0))) == 0);
  }
}

TEST_CASE("attention through a window is a loop over the window, without infinities", "[compose]") {
  constexpr Index tokens = 9, dim = 2, window = 3;
  Leaf q({1, tokens, dim}, 1), k({1, tokens, dim}, 2), v({1, tokens, dim}, 3);
  Tape tape;
  tape.check_finite = true;
  const Tape::Scope scope(tape);
  const Tensor y = window_attention(q.tensor(), k.tensor(), v.tensor(), 1, 0.8, window);
  Values expected;
  for (Index i = 0; i < tokens; ++i) {
    Real total = 0, out[dim] = {};
    for (Index t = std::max<Index>(0, i - window + 1); t <= i; ++t) {
      Real product = 0;
      for (Index d = 0; d < dim; ++d) product += q.tensor().data[i * dim + d] * k.tensor().data[t * dim + d];
      const Real weight = std::exp(Real(0.8) * product);
      total += weight;
      for (Index d = 0; d < dim; ++d) out[d] += weight * v.tensor().data[t * dim + d];
    }
    for (const Real number : out) expected.push_back(number / total);
  }
  CHECK(distance(values_of(y), expected) < 1e-13);
  const GradcheckInput x = random_input({1, tokens, dim}, 1);
  CHECK(gradcheck([](const auto& in) { return window_attention(in[0], in[1], in[2], 1, 0.8, window); },
                  {x, random_input(x.shape, 2), random_input(x.shape, 3)})
            .message == "");
}

TEST_CASE("cross-entropy, composed", "[compose]") {
  const Index rows = 9, vocab = 7;
  std::vector<std::int32_t> targets, scored, classes;
  for (int r = 0; r < rows; ++r) {
    targets.push_back(r % 4 == 2 ? ignored : 3 * r % 7);
    if (targets.back() == ignored) continue;
    scored.push_back(r);
    classes.push_back(targets.back());
  }
  const Function composed = [&](const auto& in) {
    const Tensor z = gather(in[0], 0, scored);
    return scale(sum(subtract(log_sum_exp(z, 1), pick(z, 1, classes))), 1 / 2.5);
  };
  check_twins([&](const auto& in) { return cross_entropy(in[0], targets, {2.5}); }, composed,
              {{rows, vocab}});
  // With label smoothing: - sum_i q_i log p_i.
  const double smoothing = 0.2;
  check_twins(
      [&](const auto& in) {
        return cross_entropy(in[0], targets, {2.5, smoothing});
      },
      [&](const auto& in) {
        const Tensor log_p = log(composed_softmax(gather(in[0], 0, scored)));
        const Tensor of_target = scale(pick(log_p, 1, classes), smoothing - 1);
        return scale(sum(subtract(of_target, scale(mean(log_p, 1), smoothing))), 1 / 2.5);
      },
      {{rows, vocab}});
}

TEST_CASE("other ops, composed", "[compose]") {
  const Shape shape{3, 5};
  const std::vector<std::int32_t> ids = {2, 0, 2, 1};
  check_twins([](const auto& in) { return silu(in[0]); },
              [](const auto& in) { return mul(in[0], sigmoid(in[0])); }, {shape});
  check_twins([](const auto& in) { return relu(in[0]); }, [](const auto& in) { return maximum(in[0], 0); },
              {shape});
  check_twins([](const auto& in) { return relu(in[0]); },
              [](const auto& in) { return where(greater(in[0], 0), in[0], 0); }, {shape});
  check_twins([](const auto& in) { return soft_cap(in[0], 1.7); },
              [](const auto& in) { return scale(tanh(scale(in[0], Real(1 / 1.7))), 1.7); }, {shape});
  check_twins([&](const auto& in) { return embedding(in[0], ids, {4}); },
              [&](const auto& in) { return gather(in[0], 0, ids); }, {shape});
  check_twins([](const auto& in) { return sum(in[0], 1); },
              [](const auto& in) {
                return reshape(slice(cumulative_sum(in[0], 1), 1, in[0].shape[1] - 1, 1), {in[0].shape[0]});
              },
              {shape});
  check_twins([](const auto& in) { return minimum(in[0], in[1]); },
              [](const auto& in) { return negate(maximum(negate(in[0]), negate(in[1]))); }, {shape, shape});
  check_twins(
      [](const auto& in) {
        return mul(in[0], expand(in[1], {3, 5}));
      },
      [](const auto& in) { return mul(in[0], in[1]); }, {shape, {3, 1}});
}

// ---- Mistakes
// ------------------------------------------------------------------------------------------------

TEST_CASE("a mistake with the ops to compose with is named", "[compose]") {
  Leaf vector2({2}, 1), vector3({3}, 2), matrix({2, 3}, 3), column({3, 1}, 4), empty({2, 0}, 5),
      four({1, 1, 1, 2}, 6);
  const Tensor v2 = vector2.tensor(), v3 = vector3.tensor(), m = matrix.tensor(), col = column.tensor(),
               none = empty.tensor(), f = four.tensor();
  Tensor weight = m;
  weight.name = "blocks.0.attn.q.weight";
  weight.is_parameter = true;
  const std::vector<std::int32_t> below = {0, -1}, above = {0, 3}, two = {0, 1}, three = {0, 1, 0};
  const std::vector<Tensor> no_parts;

  struct Mistake {
    std::function<void()> call;
    std::vector<std::string> said;
  };
  const std::vector<Mistake> mistakes = {
      // What numpy makes an [N, N] of.
      {[&] { subtract(v3, col); }, {"subtract: shape of b", "got [3, 1]", "expected the last axes of [3]"}},
      {[&] { subtract(col, v3); },
       {"subtract: shape of b", "got [3]",
        "expected the last axes of [3, 1], or as many axes, some of them of "
        "size 1"}},
      // The result has the shape of the first.
      {[&] {
         mul(col, reshape(v3, {1, 3}));
       },
       {"mul: shape of b", "got [1, 3]", "[3, 1]"}},
      {[&] {
         add(reshape(v3, {1, 3}), m);
       },
       {"add: shape of b", "got [2, 3]", "[1, 3]"}},
      // No axis in front of a smaller one is made up and stretched at once.
      {[&] {
         add(reshape(m, {1, 2, 3}), reshape(v2, {2, 1}));
       },
       {"add: shape of b", "got [2, 1]"}},
      {[&] { divide(m, v2); }, {"divide: shape of b", "got [2]"}},
      {[&] { minimum(m, v2); }, {"minimum: shape of b", "got [2]"}},
      {[&] { maximum(m, Tensor{}); }, {"maximum: shape of b", "got []"}},
      {[&] { where(greater(v2, 0), m, m); }, {"where: shape of mask", "got [2]", "[2, 3]"}},
      {[&] { where(greater(v2, 0), m, 0); }, {"where: shape of mask", "got [2]", "[2, 3]"}},
      {[&] { where(greater(m, 0), m, v2); }, {"where: shape of b", "got [2]", "[2, 3]"}},
      {[&] { where(m, m, 0); }, {"where: mask", "a tensor with a gradient", "a mask"}},
      {[&] { where(m, m, m); }, {"where: mask", "a tensor with a gradient", "a mask"}},
      {[&] { window_mask(4, 0); }, {"window_mask: window", "got 0", "at least 1"}},
      {[&] { position_mask(-1, 2, [](Index, Index) { return true; }); }, {"-1 as a size"}},
      {[&] {
         expand(m, {2, 4});
       },
       {"expand: shape of x", "got [2, 3]", "[2, 4]"}},
      {[&] { expand(m, {3}); }, {"expand: shape of x", "got [2, 3]", "[3]"}},
      {[&] { insert_axis(f, 0); }, {"insert_axis: shape of x", "[1, 1, 1, 2]", "at most 3 axes"}},
      {[&] { insert_axis(m, 3); }, {"insert_axis: axis of x", "got 3", "expected 0 to 2"}},
      {[&] { insert_axis(m, -1); }, {"insert_axis: axis of x", "got -1", "expected 0 to 2"}},
      {[&] { slice(m, 2, 0, 1); }, {"slice: axis of x", "got 2", "expected 0 to 1"}},
      {[&] { slice(m, 1, 2, 2); }, {"slice: places of x", "got 2 from 2", "places in 0 to 2"}},
      {[&] { slice(m, 1, -1, 2); }, {"slice: places of x", "got 2 from -1"}},
      {[&] { slice(m, 1, 1, -1); }, {"slice: places of x", "got -1 from 1"}},
      {[&] { concatenate(no_parts, 0); }, {"concatenate: parts", "got none", "at least 1"}},
      {[&] {
         concatenate({m, v3}, 0);
       },
       {"concatenate: shape of a part", "got [3]", "but for axis 0, [2, 3]"}},
      {[&] {
         concatenate({m, m, col}, 0);
       },
       {"concatenate: shape of a part", "got [3, 1]"}},
      {[&] {
         concatenate({m, m}, 2);
       },
       {"concatenate: axis of x", "got 2", "expected 0 to 1"}},
      {[&] { gather(m, -1, two); }, {"gather: axis of x", "got -1", "expected 0 to 1"}},
      {[&] { gather(m, 1, above); }, {"gather: id", "got 3", "expected 0 to 2"}},
      {[&] { gather(m, 1, below); }, {"gather: id", "got -1", "expected 0 to 2"}},
      {[&] { pick(m, 2, two); }, {"pick: axis of x", "got 2"}},
      {[&] { pick(m, 1, above); }, {"pick: id", "got 3", "expected 0 to 2"}},
      {[&] { pick(m, 1, below); }, {"pick: id", "got -1"}},
      {[&] { pick(m, 1, three); }, {"pick: shape of x", "got [2, 3]", "3 lines along axis 1, one an id"}},
      {[&] { max(m, 2); }, {"max: axis of x", "got 2", "expected 0 to 1"}},
      {[&] { max(none, 1); }, {"max: an empty axis", "at least 1"}},
      {[&] { log_sum_exp(m, -1); }, {"log_sum_exp: axis of x", "got -1"}},
      {[&] { log_sum_exp(none, 1); }, {"log_sum_exp: an empty axis", "at least 1"}},
      {[&] { cumulative_sum(m, 2); }, {"cumulative_sum: axis of x", "got 2"}},
      // A message tells which tensor it was: a parameter by its path, another by the op that made it.
      {[&] { linear(v2, weight, {}); },
       {"linear: shape of w (blocks.0.attn.q.weight): got [2, 3], expected [N, 2]"}},
      {[&] { add(v2, relu(m)); }, {"add: shape of b (of relu): got [2, 3]"}},
      {[&] { sum(weight, 5); }, {"sum: axis of x (blocks.0.attn.q.weight): got 5, expected 0 to 1"}},
  };
  Tape tape;
  const Tape::Scope scope(tape);
  for (const Mistake& mistake : mistakes) check_throws(mistake.call, mistake.said);
  CHECK(slice(m, 1, 3, 0).size() == 0);  // the last place that is no mistake
}

}  // namespace
}  // namespace ef
