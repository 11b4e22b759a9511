#include "models/sampling.h"

#include <algorithm>
#include <bit>
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
  const auto logit = [&](std::int32_t id) { return static_cast<double>(logits[id]); };
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
  };
  const auto size = static_cast<std::int32_t>(logits.size());
  std::vector<std::int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  const std::int32_t first = *std::min_element(order.begin(), order.end(), before);
  if (sampling.temperature == 0) return first;
  const auto weight = [&](std::int32_t id) {
    return std::exp((logit(id) - logit(first)) / sampling.temperature);
  };
  const Index most = sampling.top_k > 0 ? std::min<Index>(sampling.top_k, size) : size;

  // Only as many are put in order as are looked at, mostly a few of many thousands.
  Index sorted = 0;
  const auto sort_to = [&](Index end) {
    while (sorted < end) {
      const Index next = std::min(most, std::max<Index>(64, 4 * sorted));
      std::partial_sort(order.begin() + sorted, order.begin() + next, order.end(), before);
      sorted = next;
    }
  };
  double total = 0, mass = 0;
  Index kept = most;
  if (most < size || sampling.top_p < 1) {
    sort_to(most < size ? most : std::min<Index>(64, size));
    for (Index i = 0; i < most; ++i) total += weight(order[i]);
    kept = 0;
    while (kept < most && (kept == 0 || mass < sampling.top_p * total)) {
      sort_to(kept + 1);
      mass += weight(order[kept++]);
    }
  } else {
    for (const std::int32_t id : order) mass += weight(id);
  }
  double left = u * mass;
  for (Index i = 0; i < kept; ++i) {
    sort_to(i + 1);
    left -= weight(order[i]);
    if (left < 0) return order[i];
  }
  return order[kept - 1];  // rounding
}

namespace {

// Where the window begins that the next token is drawn from.
std::size_t window_begin(std::span<const std::int32_t> ids, std::size_t begin, std::size_t context,
                         std::int32_t boundary) {
  if (ids.size() - begin <= context) return begin;
  begin = ids.size() - context;
  const auto cut = std::find(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), boundary);
  if (boundary >= 0 && cut != ids.end()) return static_cast<std::size_t>(cut - ids.begin());
  return begin + context / 2;
}

// Whether two rows of logits are the same but for rounding.
bool alike(std::span<const Real> a, std::span<const Real> b) {
  double worst = 0, size = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= worst)) worst = difference;  // NaN stays
    size = std::max(size, std::fabs(static_cast<double>(a[i])));
  }
  return worst <= 1e-3 * size;
}

}  // namespace

Generated generate(const Transformer& model, Tape& tape, std::vector<std::int32_t>& ids, Index count,
                   const Sampling& sampling, std::uint64_t seed, std::int32_t boundary,
                   const std::function<bool(std::int32_t)>& each) {
  check(sampling);
  if (ids.empty()) fail("generate", "no token to continue", "at least one");
  const Tape::Scope scope(tape);
  tape.recording = tape.settings.training = tape.check_finite = false;
  const Random random{seed, stream_of(Purpose::sample), 0};
  const auto context = static_cast<std::size_t>(model.config.context);
  const auto last_row = [](const Tensor& logits) {
    const Index vocabulary = logits.shape.last();
    return std::span<const Real>(logits.data + (logits.shape[1] - 1) * vocabulary, vocabulary);
  };

  Generated told;
  bool remembers = model.remembers();
  if (!remembers) told.why_anew = "an attention of this model does not remember";
  Memory memory;
  std::size_t begin = 0;
  bool first_window = true, filled = false;  // filled: the last token came of a whole window
  for (Index i = 0; i < count; ++i) {
    const std::size_t now = window_begin(ids, begin, context, boundary);
    if (now != begin) {
      memory.forget();
      first_window = false;
    }
    begin = now;
    const std::span<const std::int32_t> window = std::span(ids).subspan(begin);
    tape.reset();
    std::span<const Real> logits;
    if (remembers) {
      const Memory::Scope within(&memory);
      const auto known = static_cast<std::size_t>(memory.tokens());
      const bool whole = known == 0;
      const bool checks = first_window && (i == 0 || std::has_single_bit(known) || (filled && !whole));
      filled = whole;
      logits = last_row(model.logits(model.hidden(window.subspan(known), 1)));
      if (checks) {
        const Memory::Scope apart(nullptr);
        const std::span<const Real> full = last_row(model.forward(window, 1));
        if (!alike(full, logits)) {
          remembers = false;
          told.why_anew =
              "an attention of this model remembers wrongly: seen at token " + std::to_string(known);
          logits = full;
        }
      }
      ++(whole ? told.anew : told.remembered);
    } else {
      logits = last_row(model.forward(window, 1));
      ++told.anew;
    }
    ids.push_back(sample_token(logits, sampling, random.uniform(static_cast<std::uint64_t>(i))));
    if (!each(ids.back())) break;
  }
  tape.reset();
  return told;
}

}  // namespace ef
