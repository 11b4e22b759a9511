#include "engine/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
using Values = std::vector<Real>;

struct Failure {
  std::string message;
};

// Where an evaluation lives. Used again for the next one, as fresh memory from the system costs more than a
// small op.
struct Memory {
  Arena inputs;
  Tape tape;
};

// One evaluation at the given inputs, under guard. Ends the one before it in the same memory.
class Evaluation {
 public:
  // wants_gradient[i]: whether input i gets a gradient; an empty vector means that none does.
  Evaluation(Memory& memory, const Function& f, const std::vector<GradcheckInput>& inputs,
             const std::vector<bool>& wants_gradient)
      : memory_(memory.inputs), tape_(memory.tape) {
    memory_.reset();
    memory_.guard(true);
    tape_.reset();
    tape_.activations().guard(true);
    tape_.gradients().guard(true);
    tape_.recording = true;  // f may have changed these
    tape_.check_finite = false;
    tape_.settings = {};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Tensor x{inputs[i].shape, memory_.allocate<Real>(inputs[i].shape.size()), nullptr, "input"};
      std::copy(inputs[i].values.begin(), inputs[i].values.end(), x.data);
      if (!wants_gradient.empty() && wants_gradient[i]) x.grad = memory_.allocate<Real>(x.size());
      inputs_.push_back(x);
    }
    Tape::Scope scope(tape_);
    y_ = f(inputs_);
    check("the forward", inputs);
    for (Index i = 0; i < y_.size(); ++i) {
      if (!std::isfinite(y_.data[i]))
        throw Failure{"the forward left element " + std::to_string(i) + " NaN or infinite"};
    }
  }

  Values y() const { return {y_.data, y_.data + y_.size()}; }

  // (dy/dx)^T seed for each input, as what the backward added to gradients that held random numbers before.
  std::vector<Values> backward(const Values& seed, const std::vector<GradcheckInput>& inputs) {
    std::vector<Values> gradients(inputs_.size());
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].grad) continue;
      const Values before = random_input(inputs_[i].shape, 1000 + i).values;
      std::copy(before.begin(), before.end(), static_cast<Real*>(inputs_[i].grad));
    }
    Tape::Scope scope(tape_);
    if (y_.grad) tape_.backward(y_, seed);
    check("the backward", inputs);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].grad) continue;
      gradients[i] = random_input(inputs_[i].shape, 1000 + i).values;
      for (std::size_t j = 0; j < gradients[i].size(); ++j)
        gradients[i][j] = inputs_[i].grad[static_cast<Index>(j)] - gradients[i][j];
    }
    return gradients;
  }

 private:
  void check(const std::string& phase, const std::vector<GradcheckInput>& inputs) const {
    try {
      memory_.check_guards();
      tape_.activations().check_guards();
      tape_.gradients().check_guards();
    } catch (const Error& error) {
      throw Failure{phase + " wrote outside of its memory: " + error.what()};
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!std::equal(inputs[i].values.begin(), inputs[i].values.end(), inputs_[i].data)) {
        throw Failure{phase + " changed input " + std::to_string(i)};
      }
    }
  }

  Arena& memory_;
  Tape& tape_;
  std::vector<Tensor> inputs_;
  Tensor y_;
};

double dot(const Values& a, const Values& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

struct Check {
  const Function& f;
  const std::vector<GradcheckInput>& inputs;
  const GradcheckOptions& options;
  GradcheckVerdict& verdict;
  Memory here{}, here_again{}, elsewhere{};

  void compare(double analytic, double numeric, const std::string& where) {
    const double error =
        std::fabs(analytic - numeric) / std::max({1.0, std::fabs(analytic), std::fabs(numeric)});
    verdict.worst = std::max(verdict.worst, error);
    if (error <= options.tolerance) return;  // false for NaN
    throw Failure{"gradient of " + where + ": backward gives " + std::to_string(analytic) +
                  ", central differences give " + std::to_string(numeric)};
  }

  // (f(x + h v) - f(x - h v)) / 2h, v over all inputs.
  Values difference(const std::vector<Values>& direction) {
    std::vector<GradcheckInput> plus = inputs, minus = inputs;
    const Real h = Real(options.step);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (std::size_t j = 0; j < inputs[i].values.size(); ++j) {
        plus[i].values[j] += h * direction[i][j];
        minus[i].values[j] -= h * direction[i][j];
      }
    }
    Values up = Evaluation(elsewhere, f, plus, {}).y();
    const Values down = Evaluation(elsewhere, f, minus, {}).y();
    for (std::size_t k = 0; k < up.size(); ++k) up[k] = (up[k] - down[k]) / (2 * h);
    return up;
  }

  std::vector<Values> zeros() const {
    std::vector<Values> values;
    for (const GradcheckInput& input : inputs) values.emplace_back(input.values.size(), Real(0));
    return values;
  }

  // Every entry of the Jacobian: rows from the backward, columns from differences. Rows are asked for with a
  // seed that is not 1, or a backward that forgets to multiply by the gradient it is given would pass.
  void full_jacobian(Evaluation& at, std::size_t outputs) {
    constexpr double seed_size = 0.75;
    std::vector<std::vector<Values>> rows;
    for (std::size_t k = 0; k < outputs; ++k) {
      Values one(outputs, Real(0));
      one[k] = Real(seed_size);
      rows.push_back(at.backward(one, inputs));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (std::size_t j = 0; j < inputs[i].values.size(); ++j) {
        std::vector<Values> direction = zeros();
        direction[i][j] = 1;
        const Values column = difference(direction);
        for (std::size_t k = 0; k < outputs; ++k) {
          compare(static_cast<double>(rows[k][i][j]) / seed_size, static_cast<double>(column[k]),
                  "output " + std::to_string(k) + " by element " + std::to_string(j) + " of input " +
                      std::to_string(i));
        }
      }
    }
  }

  // <u, J v> for random u, and v that touches one input at a time: directions and single elements in turn.
  void projections(Evaluation& at, const Shape& output_shape) {
    for (int n = 0; n < options.projections; ++n) {
      const auto seed = options.seed + 100 * static_cast<std::uint64_t>(n + 1);
      const Values u = random_input(output_shape, seed).values;
      const std::vector<Values> gradient = at.backward(u, inputs);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].values.empty()) continue;
        std::vector<Values> direction = zeros();
        if (n % 2 == 0) {
          direction[i] = random_input(inputs[i].shape, seed + 1 + i).values;
        } else {
          direction[i][Random{seed, stream_of(Purpose::test), i}.below(0, inputs[i].values.size())] = 1;
        }
        compare(dot(gradient[i], direction[i]), dot(u, difference(direction)),
                "input " + std::to_string(i) + " in projection " + std::to_string(n));
      }
    }
  }

  void run() {
    const std::vector<bool> all(inputs.size(), true);
    Evaluation at(here, f, inputs, all), again(here_again, f, inputs, all);
    const Values y = at.y();
    if (y != again.y()) throw Failure{"two forward passes differ"};
    std::size_t entries = 0;
    for (const GradcheckInput& input : inputs) entries += input.values.size() * y.size();
    const Shape flat{static_cast<Index>(y.size())};
    if (entries <= static_cast<std::size_t>(options.full_jacobian))
      full_jacobian(at, y.size());
    else
      projections(at, flat);

    const Values u = random_input(flat, options.seed).values;
    const std::vector<Values> gradient = again.backward(u, inputs);
    if (gradient != again.backward(u, inputs)) throw Failure{"two backward passes differ"};
    for (std::size_t skip = 0; skip < inputs.size(); ++skip) {
      std::vector<bool> wanted = all;
      wanted[skip] = false;
      const std::vector<Values> others = Evaluation(elsewhere, f, inputs, wanted).backward(u, inputs);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (i != skip && others[i] != gradient[i]) {
          throw Failure{"the gradient of input " + std::to_string(i) + " changes when input " +
                        std::to_string(skip) + " wants none"};
        }
      }
    }
    as_activations(all, u, gradient);
  }

  // The gradients of activations come and go on the tape, and one may take over the memory of another.
  void as_activations(const std::vector<bool>& all, const Values& u, const std::vector<Values>& gradient) {
    const Function copied = [&](std::vector<Tensor> in) {
      for (Tensor& x : in) x = scale(x, 1);
      return f(in);
    };
    const std::vector<Values> others = Evaluation(elsewhere, copied, inputs, all).backward(u, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (std::size_t j = 0; j < gradient[i].size(); ++j) {
        const double a = static_cast<double>(gradient[i][j]), b = static_cast<double>(others[i][j]);
        if (std::fabs(a - b) <= 1e-9 * std::max(1.0, std::fabs(a))) continue;
        throw Failure{"the gradient of input " + std::to_string(i) + " changes when it is an activation"};
      }
    }
  }
};

}  // namespace

GradcheckInput random_input(const Shape& shape, std::uint64_t seed, double spread, double offset) {
  GradcheckInput input{shape, Values(shape.size())};
  const Random random{seed, stream_of(Purpose::test, 1), 0};
  for (std::size_t i = 0; i < input.values.size(); ++i)
    input.values[i] = Real(offset + spread * random.normal(i));
  return input;
}

GradcheckVerdict gradcheck(const Function& f, const std::vector<GradcheckInput>& inputs,
                           const GradcheckOptions& options) {
  if (sizeof(Real) < sizeof(double)) fail("gradcheck", "a float32 build", "a double build (-DEF_DOUBLE)");
  GradcheckVerdict verdict;
  try {
    Check{f, inputs, options, verdict}.run();
  } catch (const Failure& failure) {
    verdict.ok = false;
    verdict.message = failure.message;
  }
  return verdict;
}

}  // namespace ef
