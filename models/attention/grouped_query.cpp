// Grouped-query attention (Ainslie et al. 2023): fewer heads of keys and values than of queries. Each is
// shared by as many neighbouring query heads, H / --kv-heads of them. With one for all it is multi-query
// attention (Shazeer 2019), with as many as query heads it is softmax.
#include "models/transformer.h"

namespace ef {
namespace {

const Option<Index> kv_heads("kv-heads", 1, at_least(1), "heads of keys and values, a divisor of --heads");

Index checked_kv_heads(const ModelConfig& c) {
  const Index n = kv_heads(c.options);
  if (c.heads % n != 0)
    fail("--kv-heads", std::to_string(n), "a divisor of the " + std::to_string(c.heads) + " heads",
         "as many query heads share each of them");
  return n;
}

struct GroupedQueryAttention : Attention {
  Index heads, head_dim, key_heads;
  Linear query, key, value, out;
  const FusedOps& ops;
  double scale;
  std::vector<std::int32_t> shared;  // by query head: the key head that it reads
  Point see_q, see_k, see_v, see_logits, see_pattern, see_z;

  GroupedQueryAttention(const Builder& b, const ModelConfig& c)
      : heads(c.heads),
        head_dim(c.channels / c.heads),
        key_heads(checked_kv_heads(c)),
        query(b / "q", c.channels, c.channels, Role::attention_in, c),
        key(b / "k", c.channels, key_heads * head_dim, Role::attention_in, c),
        value(b / "v", c.channels, key_heads * head_dim, Role::attention_in, c),
        out(b / "out", c.channels, c.channels, Role::attention_out, c),
        ops(ops_of(c)),
        scale(1 / std::sqrt(static_cast<double>(head_dim))),
        see_q(b / "q"),
        see_k(b / "k"),
        see_v(b / "v"),
        see_logits(b / "logits"),
        see_pattern(b / "pattern"),
        see_z(b / "z") {
    for (Index head = 0; head < heads; ++head)
      shared.push_back(static_cast<std::int32_t>(head * key_heads / heads));
  }

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x));
    const Tensor k = see_k(for_each_query(key.forward(x))), v = see_v(for_each_query(value.forward(x)));
    const Shape shape{x.shape[0], heads, x.shape[1], x.shape[1]};
    const AttentionSeen seen{see_logits.place(shape), see_pattern.place(shape)};
    return out.forward(see_z(ops.attention(q, k, v, heads, scale, seen)));
  }

  Tensor forward_after(const Tensor& x, Past& past) const override {
    const Tensor q = query.forward(x);
    past.add(for_each_query(key.forward(x)), for_each_query(value.forward(x)));
    return out.forward(q.shape[1] < past.tokens()
                           ? attention_of_last(q, past.keys(), past.values(), heads, scale)
                           : ops.attention(q, past.keys(), past.values(), heads, scale, {}));
  }
  bool remembers() const override { return true; }

  // Of each query head with the key that it shares.
  std::vector<QKProduct> qk() const override { return qk_products(query, key, heads, scale); }

 private:
  // [B, T, key_heads D] -> [B, T, C]: each head as often as it is shared.
  Tensor for_each_query(const Tensor& x) const {
    const Index batch = x.shape[0], tokens = x.shape[1];
    return reshape(gather(reshape(x, {batch, tokens, key_heads, head_dim}), 2, shared),
                   {batch, tokens, heads * head_dim});
  }
};

const Registered<Attention, GroupedQueryAttention> grouped_query(
    "grouped-query", "heads of queries share --kv-heads heads of keys and values", {kv_heads});

}  // namespace
}  // namespace ef
