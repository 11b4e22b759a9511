// Gradcheck itself, against ops with deliberate faults.
#include "engine/gradcheck.h"

#include <functional>
#include <memory>

#include "engine/ops.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// y = x^2 with a fault. Each fault is one that a hand-written op has had somewhere, sometime.
enum class Fault {
  none,
  assigns,            // dx = instead of dx +=
  one_unwritten,      // the last element of y
  writes_past_end,    // one element after y
  writes_before,      // one element before y
  changes_input,      // normalises in place, say
  wrong_factor,       // dx = x dy instead of 2 x dy
  wrong_at_one,       // right but for one element
  forward_varies,     // depends on how often it was called
  backward_varies,    // by far less than the tolerance of differences
  gradient_past_end,  // one element after dx
  backward_changes_input,
  adds_to_what_it_takes_over,
  ignores_dy,  // right where the gradient that comes in is 1
};

struct FaultySquare {
  Fault fault;
  std::shared_ptr<int> calls = std::make_shared<int>(0);

  Tensor operator()(const std::vector<Tensor>& in) const {
    const Tensor x = in[0];
    const Index n = x.size();
    Tensor y = Tape::current().output("faulty_square", x.shape, {x});
    for (Index i = 0; i < n; ++i) {
      if (fault == Fault::one_unwritten && i == n - 1) continue;
      y.data[i] = x.data[i] * x.data[i];
    }
    ++*calls;
    if (fault == Fault::writes_past_end) y.data[n] = 0;
    if (fault == Fault::writes_before) y.data[-1] = 0;
    if (fault == Fault::changes_input) x.data[n / 2] += Real(0.5);
    if (fault == Fault::forward_varies) y.data[0] += Real(1e-12) * *calls;
    const auto backward = [x, n, f = fault, counter = calls.get()](const Real* all_dy, Real* dx, bool) {
      for (Index i = 0; i < n; ++i) {
        Real factor = 2;
        if (f == Fault::wrong_factor || (f == Fault::wrong_at_one && i == n - 1)) factor = 1;
        if (f == Fault::backward_varies) factor += Real(1e-12) * ++*counter;
        const Real dy = f == Fault::ignores_dy ? Real(1) : all_dy[i];
        const Real d = factor * x.data[i] * dy;
        dx[i] = f == Fault::assigns ? d : dx[i] + d;
      }
      if (f == Fault::gradient_past_end) dx[n] += 1;
      if (f == Fault::backward_changes_input) x.data[0] = 0;
    };
    if (fault == Fault::adds_to_what_it_takes_over) return Tape::current().record_in_place(y, x, backward);
    return Tape::current().record(y, [=] { backward(y.grad, x.grad, true); });
  }
};

TEST_CASE("gradcheck reports every fault of an op", "[gradcheck]") {
  const auto message = [](Fault fault, const Shape& shape) {
    const GradcheckVerdict verdict = gradcheck(FaultySquare{fault}, {random_input(shape, 4, 1, 2)});
    CHECK(verdict.ok == verdict.message.empty());
    return verdict.message;
  };
  // All entries of the Jacobian; and so many elements that random projections are compared.
  for (const Shape& shape : {Shape{3, 5}, Shape{13, 11}}) {
    INFO(shape.str());
    CHECK(message(Fault::none, shape) == "");
    CHECK(contains(message(Fault::assigns, shape), "gradient of "));
    CHECK(contains(message(Fault::one_unwritten, shape),
                   "the forward left element " + std::to_string(shape.size() - 1) + " NaN"));
    CHECK(contains(message(Fault::writes_past_end, shape), "the forward wrote outside of its memory"));
    CHECK(contains(message(Fault::writes_before, shape), "the forward wrote outside of its memory"));
    CHECK(contains(message(Fault::changes_input, shape), "the forward changed input 0"));
    CHECK(contains(message(Fault::wrong_factor, shape), "gradient of "));
    CHECK(contains(message(Fault::wrong_at_one, shape), "gradient of "));
    CHECK(contains(message(Fault::forward_varies, shape), "two forward passes differ"));
    CHECK(contains(message(Fault::backward_varies, shape), "two backward passes differ"));
    CHECK(contains(message(Fault::adds_to_what_it_takes_over, shape), "changes when it is an activation"));
    CHECK(contains(message(Fault::gradient_past_end, shape), "the backward wrote outside of its memory"));
    CHECK(contains(message(Fault::backward_changes_input, shape), "the backward changed input 0"));
  }
  CHECK(contains(message(Fault::ignores_dy, {1}), "gradient of "));
  CHECK(message(Fault::wrong_at_one, {2}) ==
        "gradient of output 1 by element 1 of input 0: backward gives 0.486397, central differences give "
        "0.972793");
}

TEST_CASE("gradcheck reports a gradient that depends on who else wants one", "[gradcheck]") {
  // b's gradient is forgotten where a wants none.
  const Function f = [](const std::vector<Tensor>& in) {
    const Tensor a = in[0], b = in[1];
    Tensor y = Tape::current().output("faulty_product", a.shape, {a, b});
    for (Index i = 0; i < a.size(); ++i) y.data[i] = a.data[i] * b.data[i];
    return Tape::current().record(y, [=] {
      for (Index i = 0; a.grad && i < a.size(); ++i) {
        a.grad[i] += y.grad[i] * b.data[i];
        if (b.grad) b.grad[i] += y.grad[i] * a.data[i];
      }
    });
  };
  const GradcheckVerdict verdict = gradcheck(f, {random_input({4}, 1), random_input({4}, 2)});
  CHECK(verdict.message == "the gradient of input 1 changes when input 0 wants none");
}

TEST_CASE("gradcheck reports a write outside of scratch memory", "[gradcheck]") {
  const Function f = [](const std::vector<Tensor>& in) {
    Scratch scratch(Tape::current().activations());
    scratch.reals(5)[5] = 1;
    return in[0];
  };
  CHECK(contains(gradcheck(f, {random_input({4}, 1)}).message, "the forward wrote outside of its memory"));
}

TEST_CASE("gradcheck passes on what the function throws, and says how wrong a right one is", "[gradcheck]") {
  const auto input = random_input({3, 4}, 1);
  check_throws([&] { gradcheck([](const auto& in) { return reshape(in[0], {5}); }, {input}); }, {"reshape"});
  const GradcheckVerdict verdict = gradcheck([](const auto& in) { return silu(in[0]); }, {input});
  CHECK(verdict.ok);
  CHECK(verdict.worst > 0);
  CHECK(verdict.worst < 1e-8);
}

}  // namespace
}  // namespace ef
