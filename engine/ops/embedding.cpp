// Rows of a table by id.
#include <algorithm>

#include "engine/error.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

// y[i] = table[ids[i]].  d table[ids[i]] += dy[i]: a row that occurs often gathers all its gradients.
Tensor embedding(const Tensor& table, std::span<const std::int32_t> ids, const Shape& ids_shape) {
  check_shape(table.shape.rank == 2, "embedding", "table", table, "[V, C]");
  const auto count = static_cast<Index>(ids.size());
  check_shape(ids_shape.rank < Shape::max_rank && ids_shape.size() == count, "embedding", "ids", ids_shape,
              count, " ids");
  const Index vocab = table.shape[0], c = table.shape[1];
  for (std::int32_t id : ids) {
    if (id < 0 || id >= vocab) {
      fail("embedding: id", std::to_string(id), "0 to " + std::to_string(vocab - 1),
           "was the text encoded with this model's tokenizer?");
    }
  }
  Shape shape = ids_shape;
  shape.dims[shape.rank++] = c;

  Tensor y = Tape::current().output("embedding", shape, {table});
  for (Index i = 0; i < count; ++i) std::copy_n(table.data + ids[i] * c, c, y.data + i * c);
  return Tape::current().record(y, [=] {
    for (Index i = 0; i < count; ++i) {
      Real* row = table.grad + ids[i] * c;
      for (Index j = 0; j < c; ++j) row[j] += y.grad[i * c + j];
    }
  });
}

}  // namespace ef
