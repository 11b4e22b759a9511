// Other views of the same numbers, and some of them.
#include <algorithm>
#include <memory>

#include "engine/ops.h"
#include "engine/ops/axis.h"
#include "engine/place_by_place.h"

namespace ef {

// The result shares data and gradient with x, so it needs no backward of its own: what later ops add to its
// gradient is already added to that of x.
Tensor reshape(const Tensor& x, const Shape& shape) {
  check_shape(shape.size() == x.size(), "reshape", "x", x, "as many elements as ", shape);
  Tensor y = x;
  y.shape = shape;
  return y;
}

Tensor insert_axis(const Tensor& x, int axis) {
  const int rank = x.shape.rank;
  check_shape(rank < Shape::max_rank, "insert_axis", "x", x, "at most ", Index{Shape::max_rank - 1}, " axes");
  if (axis < 0 || axis > rank)
    fail("insert_axis: axis of " + described("x", x), std::to_string(axis), "0 to " + std::to_string(rank));
  Shape shape = x.shape;
  for (int i = shape.rank++; i > axis; --i) shape[i] = shape[i - 1];
  shape[axis] = 1;
  return reshape(x, shape);
}

// y[.., j, .., i, ..] = x[.., i, .., j, ..]; the gradient goes back the same way.
Tensor transpose(const Tensor& x, int axis_a, int axis_b) {
  Split::check_axis("transpose", x, axis_a);
  Split::check_axis("transpose", x, axis_b);
  const int first = axis_a < axis_b ? axis_a : axis_b, second = axis_a < axis_b ? axis_b : axis_a;
  Shape shape = x.shape;
  shape[first] = x.shape[second];
  shape[second] = x.shape[first];
  Tensor y = Tape::current().output("transpose", shape, {x});

  // Both tensors as [outer, n1, middle, n2, inner], visited in the order of y.
  Index outer = 1, middle = 1, inner = 1;
  for (int i = 0; i < first; ++i) outer *= x.shape[i];
  for (int i = first + 1; i < second; ++i) middle *= x.shape[i];
  for (int i = second + 1; i < x.shape.rank; ++i) inner *= x.shape[i];
  const Index n1 = x.shape[first], n2 = first == second ? 1 : x.shape[second];
  const auto each = [=](auto visit) {
    Index to = 0;
    for (Index o = 0; o < outer; ++o)
      for (Index j = 0; j < n2; ++j)
        for (Index m = 0; m < middle; ++m)
          for (Index i = 0; i < n1; ++i, to += inner)
            visit(to, (((o * n1 + i) * middle + m) * n2 + j) * inner);
  };
  each([&](Index to, Index from) {
    for (Index c = 0; c < inner; ++c) y.data[to + c] = x.data[from + c];
  });
  return Tape::current().record(y, [=] {
    each([&](Index to, Index from) {
      for (Index c = 0; c < inner; ++c) x.grad[from + c] += y.grad[to + c];
    });
  });
}

// y = x, repeated.  dx = sum over the repetitions of dy.
Tensor expand(const Tensor& x, const Shape& shape) {
  const Fit places = fit("expand", shape, {{"x", x}});
  const Index n = places.n[3], step = places.step[0][3];
  Tensor y = Tape::current().output("expand", shape, {x});
  places.each_run([&](Index at, Index from, Index) {
    for (Index i = 0; i < n; ++i) y.data[at + i] = x.data[from + i * step];
  });
  return Tape::current().record(y, [=] {
    places.each_run([&](Index at, Index from, Index) {
      const Real* dy = y.grad + at;
      Real* dx = x.grad + from;
      if (step == 1) {
        for (Index i = 0; i < n; ++i) dx[i] += dy[i];
      } else {
        double total = 0;  // double: a float32 sum of many terms would lose digits
        for (Index i = 0; i < n; ++i) total += static_cast<double>(dy[i]);
        *dx += Real(total);
      }
    });
  });
}

Tensor slice(const Tensor& x, int axis, Index first, Index count) {
  const Split s("slice", x, axis);
  if (first < 0 || count < 0 || first > s.n - count) {
    fail("slice: places of " + described("x", x), std::to_string(count) + " from " + std::to_string(first),
         "places in 0 to " + std::to_string(s.n - 1));
  }
  Shape shape = x.shape;
  shape[axis] = count;
  Tensor y = Tape::current().output("slice", shape, {x});
  const Index run = count * s.inner;
  for (Index o = 0; o < s.outer; ++o) std::copy_n(x.data + s.at(o, first), run, y.data + o * run);
  return Tape::current().record(y, [=] {
    for (Index o = 0; o < s.outer; ++o) {
      const Real* dy = y.grad + o * run;
      Real* dx = x.grad + s.at(o, first);
      for (Index i = 0; i < run; ++i) dx[i] += dy[i];
    }
  });
}

Tensor concatenate(std::span<const Tensor> given, int axis) {
  if (given.empty()) fail("concatenate: parts", "none", "at least 1");
  Shape shape = given[0].shape;
  const Index outer = Split("concatenate", given[0], axis).outer;
  shape[axis] = 0;
  for (const Tensor& part : given) {
    Shape alike = given[0].shape;
    if (part.shape.rank == shape.rank) alike[axis] = part.shape[axis];
    check_shape(part.shape == alike, "concatenate", "a part", part, "that of the first but for axis ",
                Index{axis}, ", ", given[0].shape);
    shape[axis] += part.shape[axis];
  }
  Tape& tape = Tape::current();
  Tensor y = tape.output("concatenate", shape, given);
  Tensor* parts = tape.activations().allocate<Tensor>(static_cast<Index>(given.size()));
  std::uninitialized_copy(given.begin(), given.end(), parts);
  const std::size_t count = given.size();
  const Index width = outer ? y.size() / outer : 0;
  // Calls visit(part, where its stretch begins in y, in itself, its length).
  const auto each = [=](auto visit) {
    for (Index o = 0; o < outer; ++o) {
      Index at = o * width;
      for (std::size_t p = 0; p < count; ++p) {
        const Index run = parts[p].size() / outer;
        visit(parts[p], at, o * run, run);
        at += run;
      }
    }
  };
  each([&](const Tensor& part, Index at, Index from, Index run) {
    std::copy_n(part.data + from, run, y.data + at);
  });
  return tape.record(y, [=] {
    each([&](const Tensor& part, Index at, Index from, Index run) {
      Real* dx = part.grad;
      for (Index i = 0; dx && i < run; ++i) dx[from + i] += y.grad[at + i];
    });
  });
}

Tensor concatenate(std::initializer_list<Tensor> parts, int axis) {
  return concatenate(std::span(parts.begin(), parts.size()), axis);
}

namespace {

void check_ids(const char* op, std::span<const std::int32_t> ids, Index n) {
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= n)
      fail(std::string(op) + ": id", std::to_string(id), "0 to " + std::to_string(n - 1));
  }
}

}  // namespace

// y[o, i] = x[o, ids[i]].  dx[o, ids[i]] += dy[o, i]: a place that occurs often gathers all its gradients.
Tensor gather(const Tensor& x, int axis, std::span<const std::int32_t> ids) {
  const Split s("gather", x, axis);
  check_ids("gather", ids, s.n);
  const auto count = static_cast<Index>(ids.size());
  Shape shape = x.shape;
  shape[axis] = count;
  Tensor y = Tape::current().output("gather", shape, {x});
  const auto each = [=](auto visit) {
    for (Index o = 0; o < s.outer; ++o)
      for (Index i = 0; i < count; ++i) visit((o * count + i) * s.inner, s.at(o, ids[i]));
  };
  each([&](Index to, Index from) { std::copy_n(x.data + from, s.inner, y.data + to); });
  return Tape::current().record(y, [=] {
    each([&](Index to, Index from) {
      for (Index c = 0; c < s.inner; ++c) x.grad[from + c] += y.grad[to + c];
    });
  });
}

// y[o, c] = x[o, ids[o, c], c], and the gradient goes back there.
Tensor pick(const Tensor& x, int axis, std::span<const std::int32_t> ids) {
  const Split s("pick", x, axis);
  const Index lines = s.outer * s.inner;
  check_shape(static_cast<Index>(ids.size()) == lines, "pick", "x", x, static_cast<Index>(ids.size()),
              " lines along axis ", Index{axis}, ", one an id");
  check_ids("pick", ids, s.n);
  Tensor y = Tape::current().output("pick", without_axis(x.shape, axis), {x});
  const auto from = [=](Index line) { return s.at(line / s.inner, ids[line]) + line % s.inner; };
  for (Index line = 0; line < lines; ++line) y.data[line] = x.data[from(line)];
  return Tape::current().record(y, [=] {
    for (Index line = 0; line < lines; ++line) x.grad[from(line)] += y.grad[line];
  });
}

}  // namespace ef
