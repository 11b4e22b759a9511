#include "models/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"

namespace ef {

void check(const Sampling& s) {
  if (!(s.temperature >= 0)) fail("temperature", std::to_string(s.temperature), "at least 0");
  if (s.top_k < 0) fail("top-k", std::to_string(s.top_k), "at least 0");
  if (!(s.top_p > 0 && s.top_p <= 1)) fail("top-p", std::to_string(s.top_p), "0 < p <= 1");
}

std::int32_t sample_token(std::span<const Real> logits, const Sampling& sampling, double u) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::int32_t id) { return static_cast<double>(logits[id]); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return logit(a) > logit(b); });
  if (sampling.temperature == 0) return order.front();
  if (sampling.top_k > 0 && sampling.top_k < std::ssize(order)) order.resize(sampling.top_k);

  std::vector<double> p;
  for (std::int32_t id : order)
    p.push_back(std::exp((logit(id) - logit(order.front())) / sampling.temperature));
  double total = std::accumulate(p.begin(), p.end(), 0.0);
  std::size_t kept = 0;
  double mass = 0;
  while (kept < p.size() && (kept == 0 || mass < sampling.top_p * total)) mass += p[kept++];

  double left = u * mass;
  for (std::size_t i = 0; i < kept; ++i) {
    left -= p[i];
    if (left < 0) return order[i];
  }
  return order[kept - 1];  // rounding
}

void generate(const Transformer& model, Tape& tape, std::vector<std::int32_t>& ids, Index count,
              const Sampling& sampling, std::uint64_t seed, std::int32_t boundary,
              const std::function<void(std::int32_t)>& each) {
  check(sampling);
  if (ids.empty()) fail("generate", "no token to continue", "at least one");
  const Tape::Scope scope(tape);
  tape.recording = tape.settings.training = tape.check_finite = false;
  const Random random{seed, stream_of(Purpose::sample), 0};
  const auto context = static_cast<std::size_t>(model.config.context);
  std::size_t begin = 0;
  for (Index i = 0; i < count; ++i) {
    if (ids.size() - begin > context) {
      begin = ids.size() - context;
      const auto cut = std::find(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), boundary);
      if (boundary >= 0 && cut != ids.end()) begin = static_cast<std::size_t>(cut - ids.begin());
    }
    tape.reset();
    const std::span<const std::int32_t> window = std::span(ids).subspan(begin);
    const Tensor logits = model.forward(window, 1);
    const auto vocab = static_cast<std::size_t>(logits.shape.last());
    const std::span<const Real> last(logits.data + (window.size() - 1) * vocab, vocab);
    ids.push_back(sample_token(last, sampling, random.uniform(static_cast<std::uint64_t>(i))));
    each(ids.back());
  }
  tape.reset();
}

}  // namespace ef
