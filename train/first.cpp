// The first program: a gradient, by hand and on a tape. build/bin/first prints both.
#include <cstdio>

#include "engine/ops.h"
#include "engine/tape.h"

int main() {
  using namespace ef;
  Real x_values[] = {1, 2, 3}, x_gradient[] = {0, 0, 0};
  const Tensor x{{3}, x_values, x_gradient, "x"};  // a tensor owns nothing: it points to its numbers

  Tape tape;
  const Tape::Scope scope(tape);     // ops of this thread are recorded here
  const Tensor y = mean(mul(x, x));  // y = (x1^2 + x2^2 + x3^2) / 3
  tape.backward(y);                  // dy/dx_i = 2 x_i / 3, added to x_gradient

  std::printf("y = %g\n", static_cast<double>(y.data[0]));
  for (int i = 0; i < 3; ++i)
    std::printf("dy/dx%d = %g, by hand %g\n", i + 1, static_cast<double>(x_gradient[i]),
                static_cast<double>(2 * x_values[i] / 3));
}
