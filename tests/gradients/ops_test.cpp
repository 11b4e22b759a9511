// Every op of engine/ops.h against central differences, over many random shapes, and the fused ops against
// their definitions.
#include <array>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>

#include "engine/gradcheck.h"
#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "engine/place_by_place.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// BLAS threads would only disturb each other on matrices this small.
[[maybe_unused]] const bool one_thread = (blas::use_one_thread(), true);

// ---- Random shapes
// -----------------------------------------------------------------------------------------

// What to check in one round: a function and its inputs.
struct Trial {
  Function f;
  std::vector<GradcheckInput> inputs;
  std::string note;  // for the message of a failure: what the shapes do not tell
};

// Draws the trial of one round. The first rounds are the corners: nothing, one, many.
class Draw {
 public:
  enum Corner { no_rows, one_row, one_channel, one_number, large, corners };

  Draw(const std::string& op, Index round) : round_(round), random_{0, stream_of(Purpose::test), 0} {
    for (char c : op) random_.seed = 31 * random_.seed + static_cast<unsigned char>(c);
    random_.step = static_cast<std::uint64_t>(round);
  }
  bool is(Corner corner) const { return round_ == corner; }
  Index round() const { return round_; }
  Index size(Index low, Index high) {
    return low + static_cast<Index>(random_.below(next_++, static_cast<std::uint64_t>(high - low + 1)));
  }
  bool coin() { return size(0, 1) == 1; }
  std::uint64_t seed() { return static_cast<std::uint64_t>(size(1, 1 << 30)); }

  // Channels of a row.
  Index channels() {
    if (is(one_channel) || is(one_number)) return 1;
    return is(large) ? size(33, 40) : size(1, 9);
  }
  // Any number of leading axes, then `last`.
  Shape rows_then(std::initializer_list<Index> last, Index most_axes = 2) {
    Shape shape;
    const auto push = [&](Index n) { shape.dims[shape.rank++] = n; };
    const Index axes = size(0, most_axes);
    if (is(no_rows)) {
      push(0);
    } else if (is(large)) {
      push(size(5, 7));
    } else if (!is(one_row) && !is(one_number)) {
      for (Index i = 0; i < axes; ++i) push(size(1, 3));
    }
    for (Index n : last) push(n);
    return shape;
  }
  // One to four axes.
  Shape any_shape() {
    if (is(no_rows)) return {3, 0, 2};
    if (is(one_row)) return {0};
    if (is(one_number)) return {1, 1, 1, 1};
    if (is(large)) return {9, size(7, 11)};
    Shape shape;
    shape.rank = static_cast<int>(size(1, 4));
    for (int axis = 0; axis < shape.rank; ++axis) shape[axis] = size(1, shape.rank > 2 ? 3 : 7);
    return shape;
  }
  int axis_of(const Shape& shape) { return static_cast<int>(size(0, shape.rank - 1)); }
  GradcheckInput normal(const Shape& shape, double spread = 1) { return random_input(shape, seed(), spread); }
  // Normal numbers with |x| >= gap: away from a kink or a pole at 0.
  GradcheckInput apart_from_zero(const Shape& shape, double gap) {
    GradcheckInput input = normal(shape);
    for (Real& x : input.values) x += Real(x < 0 ? -gap : gap);
    return input;
  }
  // Rows whose variance is not small, where 1 / sqrt(variance) would bend too sharply for differences.
  GradcheckInput spread_rows(const Shape& shape) {
    GradcheckInput input = normal(shape);
    for (std::size_t i = 0; i < input.values.size(); ++i)
      input.values[i] += Real(static_cast<Index>(i) % shape.last() % 2 ? 2 : -2);
    return input;
  }
  // Integers in [low, high]; shared, because a trial's function outlives this call.
  std::shared_ptr<std::vector<std::int32_t>> integers(Index count, Index low, Index high) {
    auto list = std::make_shared<std::vector<std::int32_t>>();
    for (Index i = 0; i < count; ++i) list->push_back(static_cast<std::int32_t>(size(low, high)));
    return list;
  }

 private:
  Index round_;
  Random random_;
  std::uint64_t next_ = 0;
};

// The last axes of a shape, at least one.
Shape suffix(const Shape& shape, int axes) {
  Shape end;
  for (int i = shape.rank - axes; i < shape.rank; ++i) end.dims[end.rank++] = shape[i];
  return end;
}

Trial unary(Tensor (*op)(const Tensor&), GradcheckInput x) {
  return {[op](const auto& in) { return op(in[0]); }, {std::move(x)}, ""};
}

// What b may be beside a: with some of its axes 1.
Shape stretched(const Shape& a, Draw& draw) {
  Shape b = a;
  for (int axis = 0; axis < b.rank; ++axis) {
    if (draw.coin()) b[axis] = 1;
  }
  return b;
}

// ---- Ops that work place by place: all that are listed, unnamed here
// -------------------------------------------

// Where the op has a derivative: numbers for x and the constant c.
GradcheckInput where_smooth(Smooth smooth, double c, Draw& draw, const Shape& shape) {
  if (smooth == Smooth::everywhere) return draw.normal(shape, 2);
  GradcheckInput x = draw.apart_from_zero(shape, 0.3);
  for (Real& value : x.values) value = smooth == Smooth::above_0 ? std::fabs(value) : value + Real(c);
  return x;
}

// Numbers near whole ones, or near whole ones and a half: one of each kind is never near the other.
GradcheckInput near_whole(Draw& draw, const Shape& shape, double offset) {
  GradcheckInput x = draw.normal(shape, 2);
  for (Real& value : x.values) {
    const Real whole = std::round(value);
    value = whole + Real(0.4) * (value - whole) + Real(offset);
  }
  return x;
}

enum class Uses { once, before, after };

// The op of one tensor; and where the tensor is used once more, before or after it. The gradient that comes
// first takes over the memory of what it is made from, the other adds to it.
Trial unary_trial(const PlaceByPlace& op, Draw& draw, Uses uses) {
  const double c = op.with_constant ? static_cast<double>(draw.size(-4, 4)) * 0.37 : 0;
  const auto apply = [op, c](const Tensor& x) { return op.unary ? op.unary(x) : op.with_constant(x, c); };
  return {[=](const auto& in) {
            if (uses == Uses::once) return apply(in[0]);
            const Tensor x = scale(in[0], Real(1.5)), before = scale(x, Real(0.7)), y = apply(x),
                         after = scale(x, Real(-0.4));
            return add(y, uses == Uses::before ? before : after);
          },
          {[&] {
            GradcheckInput x = where_smooth(op.smooth, c, draw, draw.any_shape());
            if (uses != Uses::once) {
              for (Real& value : x.values) value /= Real(1.5);
            }
            return x;
          }()},
          "c = " + std::to_string(c)};
}

enum class Pair { same_shape, last_axes, ones, itself };

Trial pair_trial(const PlaceByPlace& op, Draw& draw, Pair pair) {
  const Shape a = draw.any_shape();
  const Shape b = pair == Pair::last_axes ? suffix(a, static_cast<int>(draw.size(1, a.rank)))
                  : pair == Pair::ones    ? stretched(a, draw)
                                          : a;
  const bool apart = op.smooth == Smooth::except_at_a_b && pair != Pair::itself;
  GradcheckInput first = apart ? near_whole(draw, a, 0) : draw.normal(a);
  GradcheckInput second = apart                                ? near_whole(draw, b, 0.5)
                          : op.smooth == Smooth::except_at_b_0 ? draw.apart_from_zero(b, 0.4)
                                                               : draw.normal(b);
  if (pair == Pair::itself) return {[op](const auto& in) { return op.binary(in[0], in[0]); }, {second}, ""};
  return {[op](const auto& in) { return op.binary(in[0], in[1]); }, {first, second}, ""};
}

// ---- The other ops
// ---------------------------------------------------------------------------------------------

// mask and b repeated to fit a in some way.
Trial where_trial(Draw& draw, bool constant) {
  const Shape a = draw.any_shape();
  const auto smaller = [&] {
    return draw.coin() ? suffix(a, static_cast<int>(draw.size(1, a.rank))) : stretched(a, draw);
  };
  const Shape mask_shape = smaller(), b = smaller();
  const auto bits = std::make_shared<std::vector<Real>>();
  for (Index i = 0; i < mask_shape.size(); ++i) bits->push_back(Real(draw.size(0, 1)));
  const std::string note = "mask " + mask_shape.str();
  const auto mask = [=] { return Tensor{mask_shape, bits->data()}; };
  if (constant) {
    return {[=](const auto& in) { return where(mask(), in[0], -2.5); }, {draw.normal(a)}, note};
  }
  return {
      [=](const auto& in) { return where(mask(), in[0], in[1]); }, {draw.normal(a), draw.normal(b)}, note};
}

Trial mask_trial(const std::function<Tensor()>& make) {
  return {[make](const auto&) { return make(); }, {}, ""};
}

Trial expand_trial(Draw& draw) {
  const Shape to = draw.any_shape();
  const Shape from = draw.coin() ? stretched(to, draw) : suffix(to, static_cast<int>(draw.size(1, to.rank)));
  return {[=](const auto& in) { return expand(in[0], to); }, {draw.normal(from)}, "to " + to.str()};
}

Trial insert_axis_trial(Draw& draw) {
  Shape shape = draw.any_shape();
  if (shape.rank == Shape::max_rank) shape = suffix(shape, 3);
  const int axis = static_cast<int>(draw.size(0, shape.rank));
  return {[=](const auto& in) { return insert_axis(in[0], axis); },
          {draw.normal(shape)},
          "axis " + std::to_string(axis)};
}

Trial slice_trial(Draw& draw) {
  const Shape shape = draw.any_shape();
  const int axis = draw.axis_of(shape);
  const Index first = draw.size(0, shape[axis]), count = draw.size(0, shape[axis] - first);
  return {[=](const auto& in) { return slice(in[0], axis, first, count); },
          {draw.normal(shape)},
          "axis " + std::to_string(axis) + ", " + std::to_string(count) + " from " + std::to_string(first)};
}

Trial concatenate_trial(Draw& draw, bool span) {
  const Shape shape = draw.any_shape();
  const int axis = draw.axis_of(shape);
  Shape second = shape, third = shape;
  second[axis] = draw.size(0, 3);
  third[axis] = draw.size(1, 4);
  return {[=](const auto& in) {
            // The first comes again: its gradients add up.
            const std::array<Tensor, 4> parts = {in[0], in[1], in[0], in[2]};
            return span ? concatenate(parts, axis) : concatenate({in[0], in[1], in[0], in[2]}, axis);
          },
          {draw.normal(shape), draw.normal(second), draw.normal(third)},
          "axis " + std::to_string(axis)};
}

Trial gather_trial(Draw& draw) {
  const Shape shape = draw.any_shape();
  const int axis = draw.axis_of(shape);
  const auto ids = draw.integers(shape[axis] ? draw.size(0, 5) : 0, 0, shape[axis] - 1);
  return {[=](const auto& in) { return gather(in[0], axis, *ids); },
          {draw.normal(shape)},
          "axis " + std::to_string(axis) + ", " + std::to_string(ids->size()) + " ids"};
}

// A shape whose axis is not empty, unless all lines are.
Shape shape_with_lines(Draw& draw, int* axis) {
  const Shape shape = draw.is(Draw::one_row) ? Shape{3, 0, 2} : draw.any_shape();
  do *axis = draw.axis_of(shape);
  while (shape[*axis] == 0);
  return shape;
}

Trial pick_trial(Draw& draw) {
  int axis = 0;
  const Shape shape = shape_with_lines(draw, &axis);
  const auto ids = draw.integers(shape.size() / shape[axis], 0, shape[axis] - 1);
  return {[=](const auto& in) { return pick(in[0], axis, *ids); },
          {draw.normal(shape)},
          "axis " + std::to_string(axis)};
}

Trial lines_trial(Tensor (*op)(const Tensor&, int), Draw& draw) {
  int axis = 0;
  const Shape shape = shape_with_lines(draw, &axis);
  return {[=](const auto& in) { return op(in[0], axis); },
          {draw.normal(shape, 2)},
          "axis " + std::to_string(axis)};
}

Trial matmul_trial(Draw& draw, bool transpose_a, bool transpose_b) {
  const Index m = draw.is(Draw::no_rows) ? 0 : draw.is(Draw::one_row) ? 1 : draw.size(1, 5);
  const Index k = draw.round() == Draw::corners ? 0 : draw.channels();
  const Index n = draw.is(Draw::one_channel) ? 1 : draw.size(1, 5);
  const Shape lead = draw.rows_then({1, 1});  // the batch axes of both
  Shape a = lead, b = lead;
  a[a.rank - 2] = transpose_a ? k : m;
  a[a.rank - 1] = transpose_a ? m : k;
  b[b.rank - 2] = transpose_b ? n : k;
  b[b.rank - 1] = transpose_b ? k : n;
  return {[=](const auto& in) { return matmul(in[0], in[1], transpose_a, transpose_b); },
          {draw.normal(a), draw.normal(b)},
          ""};
}

Trial linear_trial(Draw& draw, bool bias) {
  // One round with rows but no channels: y is the bias alone, or zero.
  const bool nothing_in = draw.round() == Draw::corners;
  const Index in = nothing_in ? 0 : draw.channels(), out = draw.is(Draw::one_number) ? 1 : draw.size(1, 6);
  Trial trial{[bias](const auto& x) { return linear(x[0], x[1], bias ? x[2] : Tensor{}); },
              {draw.normal(draw.rows_then({in}, 3)), draw.normal({out, in})},
              ""};
  if (bias) trial.inputs.push_back(draw.normal({out}));
  return trial;
}

Trial layer_norm_trial(Draw& draw, bool bias) {
  const Index channels = draw.channels();
  const double epsilon = draw.coin() ? 1e-5 : 0.1;
  Trial trial{[=](const auto& in) { return layer_norm(in[0], in[1], bias ? in[2] : Tensor{}, epsilon); },
              {draw.spread_rows(draw.rows_then({channels}, 3)), draw.normal({channels})},
              ""};
  if (bias) trial.inputs.push_back(draw.normal({channels}));
  return trial;
}

Trial attention_trial(Draw& draw, Index heads) {
  const Index batch = draw.is(Draw::no_rows) ? 0 : draw.size(1, 2);
  const Index tokens = draw.is(Draw::one_row) || draw.is(Draw::one_number) ? 1
                       : draw.is(Draw::large)                              ? 20
                                                                           : draw.size(1, 5);
  const Index dim = draw.is(Draw::one_channel) || draw.is(Draw::one_number) ? 1 : draw.size(1, 3);
  const Shape shape{batch, tokens, heads * dim};
  const double factor = draw.coin() ? 1 / std::sqrt(static_cast<double>(dim)) : 0.7;
  return {[=](const auto& in) { return causal_attention(in[0], in[1], in[2], heads, factor); },
          {draw.normal(shape), draw.normal(shape), draw.normal(shape)},
          "scale " + std::to_string(factor)};
}

// More tokens than the op works on at a time (64), so that it goes through several blocks.
Trial long_attention_trial(Draw& draw) {
  const Index lengths[] = {63, 64, 65, 128, 130};
  const Index tokens = lengths[draw.round() % 5], heads = draw.size(1, 4), dim = draw.size(1, 3);
  const Shape shape{draw.size(1, 2), tokens, heads * dim};
  return {[=](const auto& in) { return causal_attention(in[0], in[1], in[2], heads, 0.8); },
          {draw.normal(shape), draw.normal(shape), draw.normal(shape)},
          std::to_string(heads) + " heads"};
}

Trial cross_entropy_trial(Draw& draw, bool some_ignored, CrossEntropy options) {
  const Index vocab = draw.is(Draw::one_channel) ? 1 : draw.is(Draw::large) ? 101 : draw.size(1, 9);
  const Shape shape = draw.rows_then({vocab}, 3);
  const Index rows = shape.size() / vocab;
  const auto targets = draw.integers(rows, 0, vocab - 1);
  if (some_ignored) {
    for (std::size_t i = 0; i < targets->size(); ++i)
      if (draw.coin()) (*targets)[i] = ignored;
  }
  return {[=](const auto& in) { return cross_entropy(in[0], *targets, options); },
          {draw.normal(shape, 3)},
          std::to_string(rows) + " targets"};
}

Trial linear_cross_entropy_trial(Draw& draw, bool some_ignored, CrossEntropy options) {
  const Index vocab = draw.size(1, 7), channels = draw.channels();
  const Shape shape = draw.is(Draw::large) ? Shape{2, 70, channels} : draw.rows_then({channels}, 3);
  const Index rows = shape.rows();
  const auto targets = draw.integers(rows, 0, vocab - 1);
  for (std::size_t i = 0; some_ignored && i < targets->size(); ++i) {
    if (draw.coin()) (*targets)[i] = ignored;
  }
  return {[=](const auto& in) { return linear_cross_entropy(in[0], in[1], *targets, options); },
          {draw.normal(shape), draw.normal({vocab, channels})},
          std::to_string(rows) + " targets"};
}

Trial feed_forward_trial(Draw& draw, bool bias) {
  const Index in = draw.round() == Draw::corners ? 0 : draw.channels(), out = draw.size(1, 4);
  const Index width = draw.is(Draw::one_number) ? 1 : draw.size(1, 6);
  // More rows than the op works on at a time (192), so that it goes through several blocks.
  const Shape shape = draw.is(Draw::large) ? Shape{2, 100, in} : draw.rows_then({in}, 3);
  const Activation& f = activations()[static_cast<std::size_t>(draw.round()) % activations().size()];
  Trial trial{[bias, &f](const auto& x) {
                return feed_forward(x[0], x[1], bias ? x[3] : Tensor{}, x[2], bias ? x[4] : Tensor{}, f);
              },
              {draw.normal(shape), draw.normal({width, in}), draw.normal({out, width})},
              f.name};
  if (bias) trial.inputs.insert(trial.inputs.end(), {draw.normal({width}), draw.normal({out})});
  return trial;
}

Trial embedding_trial(Draw& draw) {
  const Index vocab = draw.size(1, 5), channels = draw.channels();
  // More ids than rows of the table: some occur again and again.
  const Shape ids_shape = draw.is(Draw::no_rows)   ? Shape{2, 0}
                          : draw.is(Draw::one_row) ? Shape{1}
                                                   : Shape{draw.size(1, 3), draw.size(1, 4)};
  const auto ids = draw.integers(ids_shape.size(), 0, vocab - 1);
  return {[=](const auto& in) { return embedding(in[0], *ids, ids_shape); },
          {draw.normal({vocab, channels})},
          ""};
}

Trial dropout_trial(Draw& draw, double p, bool training) {
  const std::uint64_t seed = draw.seed();
  const Index first_sequence = draw.size(0, 5);
  return {[=](const auto& in) {
            Tape& tape = Tape::current();
            tape.settings.random = {seed, 0, 3};
            tape.settings.first_sequence = first_sequence;
            tape.settings.training = training;
            return dropout(in[0], p);
          },
          {draw.normal(draw.any_shape())},
          ""};
}

Trial reshape_trial(Draw& draw) {
  const Shape from = draw.any_shape();
  Shape to{from.size()};
  if (draw.coin()) to = from.rank < 4 ? Shape{1, from.size()} : Shape{from[0] * from[1], from[2], from[3]};
  return {[=](const auto& in) { return reshape(in[0], to); }, {draw.normal(from)}, "to " + to.str()};
}

// Between other ops, and used twice: what reaches it is added up.
Trial reshape_inside_trial(Draw& draw) {
  const Shape from = draw.any_shape(), to{from.size()};
  return {[=](const auto& in) {
            const Tensor flat = reshape(scale(in[0], Real(1.5)), to);
            return mul(flat, add(flat, in[1]));
          },
          {draw.normal(from), draw.normal(to)},
          ""};
}

Trial transpose_trial(Draw& draw) {
  const Shape shape = draw.any_shape();
  const int a = draw.axis_of(shape), b = draw.axis_of(shape);
  return {[=](const auto& in) { return transpose(in[0], a, b); },
          {draw.normal(shape)},
          "axes " + std::to_string(a) + ", " + std::to_string(b)};
}

// sum and mean along an axis. A mean over no elements is an error, so there an empty shape keeps to its other
// axes.
Trial axis_trial(Tensor (*op)(const Tensor&, int), Draw& draw, bool of_nothing) {
  Shape shape = draw.any_shape();
  int axis = draw.axis_of(shape);
  if (shape.size() == 0 && !of_nothing) {
    shape = {3, 0, 2};
    axis = 2;
  }
  return {
      [=](const auto& in) { return op(in[0], axis); }, {draw.normal(shape)}, "axis " + std::to_string(axis)};
}

// Eigenvalues apart from each other and from rounding: n, n - 1, ... on the diagonal, pairs where asked for.
Trial eigenvalues_trial(Draw& draw, bool pairs, bool weighted) {
  const Index n = draw.is(Draw::no_rows) ? 0 : draw.is(Draw::large) ? 8 : draw.channels();
  GradcheckInput m = draw.normal({n, n}, 0.1);
  for (Index i = 0; i < n; ++i) m.values[i * n + i] += Real(n - i);
  for (Index i = 0; pairs && i + 1 < n; i += 2) {
    const auto at = static_cast<std::size_t>(i * n + i), next = at + static_cast<std::size_t>(n + 1);
    m.values[next] = m.values[at];
    m.values[at + 1] += Real(1.5);
    m.values[at + static_cast<std::size_t>(n)] -= Real(1.5);
  }
  return {[=](const auto& in) {
            const Tensor y = eigenvalues(in[0]);
            return weighted ? y : sum(mul(y, y), 0);
          },
          {std::move(m)},
          ""};
}

// Symmetric but for noise, with eigenvalues apart: the gradient is that of (a + a^T) / 2.
Trial symmetric_eigenvalues_trial(Draw& draw) {
  const Index n = draw.is(Draw::no_rows) ? 0 : draw.is(Draw::large) ? 8 : draw.channels();
  GradcheckInput a = draw.normal({n, n}, 0.1);
  for (Index i = 0; i < n; ++i) a.values[i * n + i] += Real(i);
  return unary(symmetric_eigenvalues, std::move(a));
}

Trial singular_values_trial(Draw& draw) {
  const Index m = draw.is(Draw::no_rows) ? 0 : draw.size(1, 6), n = draw.channels();
  GradcheckInput a = draw.normal({m, n}, 0.1);
  for (Index i = 0; i < std::min(m, n); ++i) a.values[i * n + i] += Real(i + 1);
  return unary(singular_values, std::move(a));
}

Trial product_trial(Tensor (*op)(const Tensor&, const Tensor&), Draw& draw) {
  const Index dim = draw.is(Draw::no_rows) ? 0 : draw.size(1, 5);
  const Shape shape{dim, draw.channels()};
  return {[op](const auto& in) { return op(in[0], in[1]); }, {draw.normal(shape), draw.normal(shape)}, ""};
}

Trial product_with_itself(Tensor (*op)(const Tensor&, const Tensor&), Draw& draw) {
  return {[op](const auto& in) { return op(in[0], in[0]); },
          {draw.normal({draw.size(1, 4), draw.channels()})},
          ""};
}

// Any u and v: they are constants, and need not be of length one for the gradient.
Trial spectral_norm_trial(Draw& draw) {
  const Index m = draw.is(Draw::no_rows) ? 0 : draw.size(1, 6), n = draw.channels();
  const auto u = std::make_shared<std::vector<Real>>(draw.normal({m}).values);
  const auto v = std::make_shared<std::vector<Real>>(draw.normal({n}).values);
  return {[=](const auto& in) { return scale(spectral_norm(in[0], u->data(), v->data()), Real(0.7)); },
          {draw.normal({m, n})},
          ""};
}

// ---- The table
// ---------------------------------------------------------------------------------------------

struct OpCheck {
  std::string op;       // as declared in engine/ops.h
  std::string variant;  // which of its uses
  std::function<Trial(Draw&)> draw;
  Index rounds = 24;
};

std::vector<OpCheck> named_checks() {
  return {
      {"dropout", "p = 0.3", [](Draw& d) { return dropout_trial(d, 0.3, true); }},
      {"dropout", "not training", [](Draw& d) { return dropout_trial(d, 0.3, false); }},
      {"dropout", "p = 0", [](Draw& d) { return dropout_trial(d, 0, true); }},
      {"where", "of two tensors", [](Draw& d) { return where_trial(d, false); }, 60},
      {"where", "of a tensor and a constant", [](Draw& d) { return where_trial(d, true); }, 40},
      {"where", "of one tensor twice",
       [](Draw& d) {
         const Shape shape = d.any_shape();
         const auto bits = d.integers(shape.size(), 0, 1);
         const auto mask = std::make_shared<std::vector<Real>>(bits->begin(), bits->end());
         return Trial{[=](const auto& in) {
                        return where(Tensor{shape, mask->data()}, in[0], in[0]);
                      },
                      {d.normal(shape)},
                      ""};
       }},
      {"position_mask", "",
       [](Draw& d) {
         const Index rows = d.size(0, 5), columns = d.size(0, 5);
         return mask_trial([=] {
           return position_mask(rows, columns,
                                [](Index row, Index column) { return (row + column) % 3 == 0; });
         });
       }},
      {"causal_mask", "",
       [](Draw& d) { return mask_trial([tokens = d.size(0, 7)] { return causal_mask(tokens); }); }},
      {"window_mask", "",
       [](Draw& d) {
         return mask_trial(
             [tokens = d.size(0, 7), window = d.size(1, 9)] { return window_mask(tokens, window); });
       }},
      {"insert_axis", "", insert_axis_trial},
      {"expand", "", expand_trial, 60},
      {"slice", "", slice_trial, 40},
      {"concatenate", "a list", [](Draw& d) { return concatenate_trial(d, false); }, 40},
      {"concatenate", "a span", [](Draw& d) { return concatenate_trial(d, true); }, 40},
      {"gather", "", gather_trial, 40},
      {"pick", "", pick_trial, 40},
      {"max", "", [](Draw& d) { return lines_trial(max, d); }, 40},
      {"log_sum_exp", "", [](Draw& d) { return lines_trial(log_sum_exp, d); }, 40},
      {"cumulative_sum", "", [](Draw& d) { return axis_trial(cumulative_sum, d, true); }, 40},
      {"reshape", "alone", reshape_trial},
      {"reshape", "between other ops", reshape_inside_trial},
      {"transpose", "", transpose_trial, 40},
      {"sum", "of all", [](Draw& d) { return unary(sum, d.normal(d.any_shape())); }},
      {"sum", "along an axis", [](Draw& d) { return axis_trial(sum, d, true); }, 40},
      {"mean", "of all",
       [](Draw& d) {
         const Shape shape = d.any_shape();
         return unary(mean, d.normal(shape.size() ? shape : Shape{2, 3}));
       }},
      {"mean", "along an axis", [](Draw& d) { return axis_trial(mean, d, false); }, 40},
      {"linear", "with bias", [](Draw& d) { return linear_trial(d, true); }},
      {"linear", "without bias", [](Draw& d) { return linear_trial(d, false); }},
      {"matmul", "a b", [](Draw& d) { return matmul_trial(d, false, false); }},
      {"matmul", "a b^T", [](Draw& d) { return matmul_trial(d, false, true); }},
      {"matmul", "a^T b", [](Draw& d) { return matmul_trial(d, true, false); }},
      {"matmul", "a^T b^T", [](Draw& d) { return matmul_trial(d, true, true); }},
      {"layer_norm", "with bias", [](Draw& d) { return layer_norm_trial(d, true); }},
      {"layer_norm", "without bias", [](Draw& d) { return layer_norm_trial(d, false); }},
      {"rms_norm", "",
       [](Draw& d) {
         const Index channels = d.channels();
         const double epsilon = d.coin() ? 1e-6 : 0.1;
         return Trial{[=](const auto& in) { return rms_norm(in[0], in[1], epsilon); },
                      {d.apart_from_zero(d.rows_then({channels}, 3), 0.3), d.normal({channels})},
                      ""};
       }},
      {"softmax", "", [](Draw& d) { return unary(softmax, d.normal(d.rows_then({d.channels()}, 3), 2)); }},
      {"causal_softmax", "",
       [](Draw& d) {
         const Index tokens = d.is(Draw::one_number) ? 1 : d.is(Draw::large) ? 11 : d.size(1, 6);
         const Index rows = d.size(1, tokens);
         return unary(causal_softmax, d.normal(d.rows_then({rows, tokens}), 2));
       }},
      {"causal_attention", "1 head", [](Draw& d) { return attention_trial(d, 1); }},
      {"causal_attention", "2 heads", [](Draw& d) { return attention_trial(d, 2); }},
      {"causal_attention", "3 heads", [](Draw& d) { return attention_trial(d, 3); }},
      {"causal_attention", "4 heads", [](Draw& d) { return attention_trial(d, 4); }},
      {"causal_attention", "longer than a block", long_attention_trial, 20},
      {"causal_attention", "q, k and v the same tensor",
       [](Draw& d) {
         const Index heads = d.size(1, 3);
         const Shape shape{d.size(1, 2), d.is(Draw::large) ? 70 : d.size(1, 4), 2 * heads};
         return Trial{[=](const auto& in) { return causal_attention(in[0], in[0], in[0], heads, 0.6); },
                      {d.normal(shape)},
                      std::to_string(heads) + " heads"};
       }},
      {"soft_cap", "",
       [](Draw& d) {
         const double cap = d.coin() ? 0.8 : 5;
         return Trial{[=](const auto& in) { return soft_cap(in[0], cap); },
                      {d.normal(d.any_shape(), 2)},
                      "cap " + std::to_string(cap)};
       }},
      {"mean_entropy", "of positive numbers",
       [](Draw& d) {
         const Shape shape = d.any_shape();
         GradcheckInput p = d.apart_from_zero(shape.size() ? shape : Shape{2, 3}, 0.1);
         for (Real& x : p.values) x = std::fabs(x);
         return unary(mean_entropy, p);
       }},
      {"mean_entropy", "of a causal pattern, with its zeros",
       [](Draw& d) {
         const Index tokens = d.is(Draw::one_number) ? 1 : d.is(Draw::large) ? 11 : d.size(1, 6);
         return Trial{[](const auto& in) { return mean_entropy(causal_softmax(in[0])); },
                      {d.normal({d.size(1, 2), d.size(1, 2), tokens, tokens}, 2)},
                      ""};
       }},
      {"scale_by_ratio", "",
       [](Draw& d) {
         return Trial{[](const auto& in) { return scale_by_ratio(in[0], in[1], in[2]); },
                      {d.normal(d.any_shape()), d.normal({1}), d.apart_from_zero({1}, 0.5)},
                      ""};
       }},
      {"embedding", "repeated ids", embedding_trial},
      {"cross_entropy", "plain", [](Draw& d) { return cross_entropy_trial(d, false, {}); }},
      {"cross_entropy", "some ignored, divided",
       [](Draw& d) { return cross_entropy_trial(d, true, {.divisor = 3.7}); }},
      {"cross_entropy", "label smoothing",
       [](Draw& d) { return cross_entropy_trial(d, d.coin(), {.divisor = 2, .label_smoothing = 0.1}); }},
      {"split_heads", "plain",
       [](Draw& d) {
         const Index heads = d.size(1, 3), dim = d.size(1, 3);
         return Trial{[=](const auto& in) { return split_heads(in[0], heads); },
                      {d.normal({d.is(Draw::no_rows) ? 0 : d.size(1, 2), d.size(1, 5), heads * dim})},
                      ""};
       }},
      {"merge_heads", "plain",
       [](Draw& d) {
         return Trial{
             [](const auto& in) { return merge_heads(in[0]); },
             {d.normal({d.is(Draw::no_rows) ? 0 : d.size(1, 2), d.size(1, 3), d.size(1, 5), d.size(1, 3)})},
             ""};
       }},
      {"feed_forward", "bias", [](Draw& d) { return feed_forward_trial(d, true); }},
      {"feed_forward", "no bias", [](Draw& d) { return feed_forward_trial(d, false); }},
      {"linear_cross_entropy", "plain", [](Draw& d) { return linear_cross_entropy_trial(d, false, {}); }},
      {"linear_cross_entropy", "some ignored, divided, smoothed",
       [](Draw& d) { return linear_cross_entropy_trial(d, true, {.divisor = 3.7, .label_smoothing = 0.1}); }},
      {"linear_cross_entropy", "logits recomputed",
       [](Draw& d) {
         return linear_cross_entropy_trial(d, true, {2, 0.1, CrossEntropy::Logits::recomputed});
       }},
      {"eigenvalues", "real", [](Draw& d) { return eigenvalues_trial(d, false, true); }},
      {"eigenvalues", "pairs", [](Draw& d) { return eigenvalues_trial(d, true, true); }},
      {"eigenvalues", "squares of both parts", [](Draw& d) { return eigenvalues_trial(d, d.coin(), false); }},
      {"symmetric_eigenvalues", "", symmetric_eigenvalues_trial},
      {"singular_values", "", singular_values_trial},
      {"product_core", "", [](Draw& d) { return product_trial(product_core, d); }},
      {"product_core", "q and k the same", [](Draw& d) { return product_with_itself(product_core, d); }},
      {"product_trace", "", [](Draw& d) { return product_trial(product_trace, d); }},
      {"product_trace", "q and k the same", [](Draw& d) { return product_with_itself(product_trace, d); }},
      {"product_trace_square", "", [](Draw& d) { return product_trial(product_trace_square, d); }},
      {"product_trace_square", "q and k the same",
       [](Draw& d) { return product_with_itself(product_trace_square, d); }},
      {"product_frobenius_square", "", [](Draw& d) { return product_trial(product_frobenius_square, d); }},
      {"product_frobenius_square", "q and k the same",
       [](Draw& d) { return product_with_itself(product_frobenius_square, d); }},
      {"spectral_norm", "", spectral_norm_trial},
  };
}

// These, and all that work place by place.
const std::vector<OpCheck>& op_checks() {
  static const std::vector<OpCheck> checks = [] {
    std::vector<OpCheck> all = named_checks();
    for (const PlaceByPlace& op : place_by_place_ops()) {
      const auto put = [&](const char* variant, auto trial, auto kind) {
        all.push_back({op.name, variant, [op, trial, kind](Draw& d) { return trial(op, d, kind); }});
      };
      if (op.binary) {
        put("same shape", pair_trial, Pair::same_shape);
        put("b repeated over leading axes", pair_trial, Pair::last_axes);
        put("b with axes of size 1", pair_trial, Pair::ones);
        put("of a tensor and itself", pair_trial, Pair::itself);
      } else {
        put(op.unary ? "" : "with a constant", unary_trial, Uses::once);
        put("x used before", unary_trial, Uses::before);
        put("x used after", unary_trial, Uses::after);
      }
    }
    return all;
  }();
  return checks;
}

std::string shapes_of(const std::vector<GradcheckInput>& inputs) {
  std::string text;
  for (const GradcheckInput& input : inputs) text += " " + input.shape.str();
  return text;
}

TEST_CASE("gradients of every op agree with central differences", "[ops]") {
  for (const OpCheck& check : op_checks()) {
    for (Index round = 0; round < check.rounds; ++round) {
      Draw draw(check.op + check.variant, round);
      const Trial trial = check.draw(draw);
      const GradcheckVerdict verdict = gradcheck(trial.f, trial.inputs);
      INFO(check.op << " " << check.variant << ", round " << round << ", inputs" << shapes_of(trial.inputs)
                    << " " << trial.note << ": " << verdict.message);
      CHECK(verdict.ok);
    }
  }
}

// Names declared as "Tensor NAME(" in engine/ops.h, and how many declarations each has.
std::map<std::string, int> declared_ops() {
  std::ifstream header("engine/ops.h");
  std::map<std::string, int> names;
  const std::string start = "Tensor ";
  for (std::string line; std::getline(header, line);) {
    const std::size_t end = line.find('(');
    if (line.compare(0, start.size(), start) == 0 && end != std::string::npos)
      ++names[line.substr(start.size(), end - start.size())];
  }
  return names;
}

TEST_CASE("every op in engine/ops.h is checked", "[ops]") {
  const std::map<std::string, int> declared = declared_ops();
  REQUIRE(declared.size() >= 20);  // fewer: the tests do not run from the root of the repository
  std::map<std::string, int> checked;
  for (const OpCheck& check : named_checks()) {
    INFO(check.op << " is checked here, but not declared in engine/ops.h");
    CHECK(declared.count(check.op) == 1);
  }
  for (const OpCheck& check : op_checks()) {
    ++checked[check.op];
    CHECK(check.rounds >= 20);
  }
  CHECK(checked["softsign"] > 0);  // of own_ops.cpp: nobody named it here
  for (const auto& [name, declarations] : declared) {
    INFO(name << " is declared in engine/ops.h: add it to op_checks(), once for each overload at least");
    CHECK(checked[name] >= declarations);
  }
}

// ---- Twins: the fused ops against their definitions
// --------------------------------------------------------

TEST_CASE("causal_attention is the composition of the ops that define it", "[ops]") {
  struct Size {
    Index batch, tokens, heads, dim;
  };
  for (const Size& s :
       {Size{2, 5, 1, 3}, Size{1, 1, 2, 1}, Size{2, 64, 2, 4}, Size{1, 65, 3, 2}, Size{2, 130, 4, 5}}) {
    const Index channels = s.heads * s.dim;
    const Shape shape{s.batch, s.tokens, channels};
    const double factor = 1 / std::sqrt(static_cast<double>(s.dim));
    INFO(shape.str() << ", " << s.heads << " heads");
    const std::vector<Real> seed = random_input(shape, 9).values;
    Leaf q(shape, 1), k(shape, 2), v(shape, 3);
    Tape tape;
    Tape::Scope scope(tape);

    std::vector<Real> pattern(s.batch * s.heads * s.tokens * s.tokens, Real(7));
    std::vector<Real> logits = pattern;
    const Tensor fused = causal_attention(q.tensor(), k.tensor(), v.tensor(), s.heads, factor,
                                          {logits.data(), pattern.data()});
    tape.backward(fused, seed);

    Leaf q2(shape, 1), k2(shape, 2), v2(shape, 3);
    const auto split = [&](Leaf& x) {
      return transpose(reshape(x.tensor(), {s.batch, s.tokens, s.heads, s.dim}), 1, 2);
    };
    const Tensor products = scale(matmul(split(q2), split(k2), false, true), Real(factor));
    const Tensor weights = causal_softmax(products);
    const Tensor composed = reshape(transpose(matmul(weights, split(v2)), 1, 2), shape);
    tape.backward(composed, seed);

    CHECK(distance(values_of(fused), values_of(composed)) < 1e-12);
    CHECK(distance(pattern, values_of(weights)) < 1e-12);
    std::vector<Real> seen = values_of(products);  // a query sees itself and what is before it
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const auto n = static_cast<std::size_t>(s.tokens);
      if (i % n > i / n % n) seen[i] = 0;
    }
    CHECK(distance(logits, seen) < 1e-12);
    CHECK(distance(q.gradient, q2.gradient) < 1e-12);
    CHECK(distance(k.gradient, k2.gradient) < 1e-12);
    CHECK(distance(v.gradient, v2.gradient) < 1e-12);
  }
}

TEST_CASE("fused ops and their plain twins compute the same", "[ops]") {
  const Index sequences = 3, tokens = 130, channels = 12, width = 40, vocab = 1200;
  std::vector<std::int32_t> targets;
  for (Index i = 0; i < sequences * tokens; ++i)
    targets.push_back(i % 11 == 3 ? ignored : static_cast<std::int32_t>(i * 97 % vocab));
  const auto all = [&](const FusedOps& ops, std::vector<Leaf>& leaf, std::vector<Real>& logits,
                       std::vector<Real>& pattern) {
    Tape tape;
    Tape::Scope scope(tape);
    const auto in = [&](std::size_t i) { return leaf[i].tensor(); };
    const Tensor attended = ops.attention(in(0), in(1), in(2), 3, 0.5, {logits.data(), pattern.data()});
    const Activation& act =
        *std::find_if(activations().begin(), activations().end(),
                      [](const Activation& f) { return std::string_view(f.name) == "gelu-tanh"; });
    const Tensor thought = ops.feed_forward(attended, in(3), in(4), in(5), in(6), act);
    const Tensor loss =
        ops.head(add(attended, thought), in(7), targets, {.divisor = 100, .label_smoothing = 0.1});
    tape.backward(loss);
    return loss.data[0];
  };
  const Shape stream{sequences, tokens, channels};
  std::vector<Leaf> fused;
  std::uint64_t seed = 1;
  for (const Shape& shape : {stream, stream, stream, Shape{width, channels}, Shape{width},
                             Shape{channels, width}, Shape{channels}, Shape{vocab, channels}})
    fused.emplace_back(shape, seed++);
  std::vector<Leaf> plain = fused;
  std::vector<Real> pattern(sequences * 3 * tokens * tokens, Real(7)), logits = pattern, twin = pattern,
                                                                       twin_logits = pattern;
  CHECK(all(fused_ops(), fused, logits, pattern) ==
        Approx(all(plain_ops(), plain, twin_logits, twin)).epsilon(1e-12));
  CHECK(distance(pattern, twin) < 1e-12);
  CHECK(distance(logits, twin_logits) < 1e-12);
  for (std::size_t i = 0; i < fused.size(); ++i) {
    INFO("gradient of input " << i);
    CHECK(distance(fused[i].gradient, plain[i].gradient) < 1e-10);
  }
}

TEST_CASE("causal_attention computes the same with and without somebody who looks", "[ops]") {
  const Shape shape{2, 70, 6};
  Leaf q(shape, 1), k(shape, 2), v(shape, 3);
  std::vector<Real> logits(2 * 3 * 70 * 70), pattern = logits;
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor with =
      causal_attention(q.tensor(), k.tensor(), v.tensor(), 3, 0.5, {logits.data(), pattern.data()});
  const Tensor without = causal_attention(q.tensor(), k.tensor(), v.tensor(), 3, 0.5);
  CHECK(values_of(with) == values_of(without));
}

TEST_CASE("cross_entropy is a loop over log-sum-exp", "[ops]") {
  const Index rows = 23, vocab = 17;
  const auto n = static_cast<std::size_t>(vocab);
  for (double smoothing : {0.0, 0.1, 0.9}) {
    INFO("label smoothing " << smoothing);
    Leaf logits({rows, vocab}, 5);
    std::vector<std::int32_t> targets;
    for (int r = 0; r < rows; ++r) targets.push_back(r % 5 == 2 ? ignored : 7 * r % 17);
    const double divisor = 11.5;
    Tape tape;
    Tape::Scope scope(tape);
    const Tensor loss = cross_entropy(logits.tensor(), targets, {divisor, smoothing});
    tape.backward(loss);

    double expected = 0;
    std::vector<Real> gradient(logits.values.size());
    for (std::size_t r = 0; r < targets.size(); ++r) {
      if (targets[r] == ignored) continue;
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += std::exp(logits.values[r * n + i]);
      for (std::size_t i = 0; i < n; ++i) {
        const double wanted = (static_cast<std::int32_t>(i) == targets[r] ? 1 - smoothing : 0) +
                              smoothing / static_cast<double>(vocab);
        const double log_p = logits.values[r * n + i] - std::log(sum);
        expected -= wanted * log_p / divisor;
        gradient[r * n + i] = (std::exp(log_p) - wanted) / divisor;
      }
    }
    CHECK(loss.data[0] == Approx(expected).epsilon(1e-13));
    CHECK(distance(logits.gradient, gradient) < 1e-14);
  }
}

TEST_CASE("activations follow their formulas", "[ops]") {
  std::vector<Real> points;
  for (int i = -400; i <= 400; ++i) points.push_back(i / 40.0);
  Leaf x({static_cast<Index>(points.size())}, points);
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor exact = gelu(x.tensor()), approximate = gelu_tanh(x.tensor()), swish = silu(x.tensor()),
               rectified = relu(x.tensor());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double v = points[i];
    const double u = std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v);
    INFO("x = " << v);
    CHECK(std::fabs(exact.data[i] - v * 0.5 * (1 + std::erf(v / std::sqrt(2.0)))) < 1e-14);
    CHECK(std::fabs(approximate.data[i] - v * 0.5 * (1 + std::tanh(u))) < 1e-14);
    CHECK(std::fabs(swish.data[i] - v / (1 + std::exp(-v))) < 1e-14);
    CHECK(rectified.data[i] == std::max(v, 0.0));
  }
}

TEST_CASE("embedding, transpose and the reductions put each number where it belongs", "[ops]") {
  Tape tape;
  Tape::Scope scope(tape);
  Leaf x({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(transpose(x.tensor(), 0, 2).shape == Shape{2, 3, 2});
  CHECK(values_of(transpose(x.tensor(), 0, 2)) == std::vector<Real>{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11});
  CHECK(transpose(x.tensor(), 2, 1).shape == Shape{2, 2, 3});
  CHECK(values_of(transpose(x.tensor(), 2, 1)) == std::vector<Real>{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11});
  CHECK(sum(x.tensor(), 0).shape == Shape{3, 2});
  CHECK(values_of(sum(x.tensor(), 0)) == std::vector<Real>{6, 8, 10, 12, 14, 16});
  CHECK(sum(x.tensor(), 1).shape == Shape{2, 2});
  CHECK(values_of(sum(x.tensor(), 1)) == std::vector<Real>{6, 9, 24, 27});
  CHECK(values_of(sum(x.tensor(), 2)) == std::vector<Real>{1, 5, 9, 13, 17, 21});
  CHECK(values_of(mean(x.tensor(), 1)) == std::vector<Real>{2, 3, 8, 9});
  CHECK(values_of(sum(x.tensor())) == std::vector<Real>{66});
  CHECK(values_of(mean(x.tensor())) == std::vector<Real>{5.5});
  CHECK(values_of(sum(Tensor{{0}, x.values.data()})) == std::vector<Real>{0});

  Leaf table({3, 2}, {0, 1, 10, 11, 20, 21});
  const std::vector<std::int32_t> ids = {2, 0, 2, 1};
  const Tensor rows = embedding(table.tensor(), ids, {2, 2});
  CHECK(rows.shape == Shape{2, 2, 2});
  CHECK(values_of(rows) == std::vector<Real>{20, 21, 0, 1, 20, 21, 10, 11});
}

TEST_CASE("add and mul repeat b over the leading axes of a", "[ops]") {
  Tape tape;
  Tape::Scope scope(tape);
  Leaf a({2, 3}, {1, 2, 3, 4, 5, 6}), b({3}, {10, 20, 30});
  CHECK(values_of(add(a.tensor(), b.tensor())) == std::vector<Real>{11, 22, 33, 14, 25, 36});
  CHECK(values_of(mul(a.tensor(), b.tensor())) == std::vector<Real>{10, 40, 90, 40, 100, 180});
}

TEST_CASE("linear_cross_entropy is cross_entropy of linear, for any number of blocks", "[ops]") {
  using Logits = CrossEntropy::Logits;
  // The op takes 256 rows and 512 classes at a time. Logits of up to +-30 let the largest one of a row move
  // from block to block.
  for (const auto& [rows, vocab, channels] :
       {std::array<Index, 3>{1, 11, 6},
        {5, 11, 6},
        {256, 512, 6},
        {257, 513, 6},
        {600, 1100, 6},
        {300, 1100, 310}}) {  // the last has fewer rows than channels, and keeps all dz
    for (const Logits logits : {Logits::kept, Logits::recomputed}) {
      for (const double smoothing : {0.0, 0.1}) {
        INFO(rows << " rows, " << vocab << " classes, " << (logits == Logits::kept ? "kept" : "recomputed")
                  << ", smoothing " << smoothing);
        std::vector<std::int32_t> targets;
        for (Index i = 0; i < rows; ++i)
          targets.push_back(i % 5 == 2 ? ignored : static_cast<std::int32_t>(i * 7 % vocab));
        const CrossEntropy options{7, smoothing, logits};
        Leaf x1({rows, channels}, 1), w1({vocab, channels}, 2);
        for (Real& x : x1.values) x *= 4;
        Leaf x2 = x1, w2 = w1;
        Tape tape;
        const Tape::Scope scope(tape);
        const Tensor fused = linear_cross_entropy(x1.tensor(), w1.tensor(), targets, options);
        const Tensor composed = cross_entropy(linear(x2.tensor(), w2.tensor(), {}), targets, options);
        CHECK(fused.data[0] == Approx(composed.data[0]).epsilon(1e-13));
        tape.backward(add(fused, composed));
        CHECK(distance(x1.gradient, x2.gradient) < 1e-13);
        CHECK(distance(w1.gradient, w2.gradient) < 1e-13);
        // Without gradients the value is the same.
        CHECK(linear_cross_entropy(x1.constant(), w1.constant(), targets, options).data[0] ==
              Approx(fused.data[0]).epsilon(1e-14));
      }
    }
  }
}

TEST_CASE("linear_cross_entropy of no scored row is 0, with gradients of 0", "[ops]") {
  using Logits = CrossEntropy::Logits;
  for (const Logits logits : {Logits::kept, Logits::recomputed}) {
    const std::vector<std::int32_t> targets(4, ignored);
    Leaf x({4, 3}, 1), w({5, 3}, 2);
    Tape tape;
    const Tape::Scope scope(tape);
    const Tensor loss = linear_cross_entropy(x.tensor(), w.tensor(), targets, {1, 0.1, logits});
    CHECK(loss.data[0] == 0);
    tape.backward(loss);
    CHECK(x.gradient == std::vector<Real>(12, Real(0)));
    CHECK(w.gradient == std::vector<Real>(15, Real(0)));
  }
}

TEST_CASE("linear_cross_entropy: a NaN or infinite logit shows in the loss, kept or recomputed", "[ops]") {
  using Logits = CrossEntropy::Logits;
  constexpr Index rows = 20, vocab = 1100, channels = 3;
  const std::vector<std::int32_t> targets(rows, 4);
  for (const Logits logits : {Logits::kept, Logits::recomputed}) {
    for (const Index at : {0, 700, 1099}) {  // a class of each block
      for (const Real bad : {std::numeric_limits<Real>::quiet_NaN(), std::numeric_limits<Real>::infinity()}) {
        Leaf x({rows, channels}, 1), w({vocab, channels}, 2);
        w.values[at * channels] = bad;
        Tape tape;
        const Tape::Scope scope(tape);
        CHECK_FALSE(
            std::isfinite(linear_cross_entropy(x.tensor(), w.tensor(), targets, {1, 0, logits}).data[0]));
        CHECK_FALSE(
            std::isfinite(linear_cross_entropy(x.constant(), w.constant(), targets, {1, 0, logits}).data[0]));
      }
    }
  }
}

}  // namespace
}  // namespace ef
