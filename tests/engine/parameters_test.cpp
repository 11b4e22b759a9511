// Parameters and their builder, workers and their shares, names that are nearly right.
#include "engine/parameters.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>

#include "engine/nearest.h"
#include "engine/workers.h"
#include "tests/helpers.h"

namespace ef {
namespace {

// ---- Parameters
// --------------------------------------------------------------------------------------------

TEST_CASE("a parameter that no memory holds is refused when it is declared") {
  Parameters parameters;
  const Builder b(parameters, nullptr);
  const Index large = Index{1} << 31;
  check_throws(
      [&] {
        b.parameter("w", {large, large}, Init::zeros());
      },
      {"parameter w", "2147483648", "memory"});
  Parameters more;
  const Builder c(more, nullptr);
  c.parameter("a", {large, large >> 6}, Init::zeros());
  c.parameter("b", {large, large >> 6}, Init::zeros());
  check_throws([&] { c.parameter("c", {large, large >> 5}, Init::zeros()); }, {"up to c", "memory"});
}

TEST_CASE("a builder names parameters by path and lays them out in order, aligned", "[parameters]") {
  Parameters parameters;
  const Builder root(parameters, nullptr);
  CHECK(root.path() == "");
  CHECK((root / "blocks" / 0 / "attn").path() == "blocks.0.attn");
  CHECK((root / "blocks" / 11).path() == "blocks.11");
  const Tensor promised = (root / "blocks" / 0).parameter("weight", {3, 7}, Init::ones());
  CHECK(promised.shape == Shape{3, 7});
  CHECK_FALSE(promised);
  root.parameter("bias", {5}, Init::zeros());
  root.parameter("gain", {16}, Init::ones());
  root.parameter("nothing", {0, 4}, Init::ones());
  root.parameter("last", {1}, Init::ones());

  const std::vector<Parameter>& list = parameters.list();
  REQUIRE(list.size() == 5);
  CHECK(list[0].path == "blocks.0.weight");
  CHECK(list[1].path == "bias");
  CHECK(parameters.count() == 21 + 5 + 16 + 0 + 1);
  Index end = 0;
  for (const Parameter& p : list) {
    CHECK(p.offset >= end);
    CHECK(p.offset % 16 == 0);
    end = p.offset + p.shape.size();
  }
  CHECK(parameters.flat_size() >= end);
}

TEST_CASE("the second building binds to values and to a worker's gradients", "[parameters]") {
  Parameters parameters;
  const auto build = [&](Real* gradients) {
    const Builder root(parameters, gradients);
    root.parameter("a", {3}, Init::ones());
    return (root / "b").parameter("weight", {2, 2}, Init::normal(1));
  };
  build(nullptr);
  parameters.allocate();
  parameters.initialise(1);
  std::vector<Real> gradients(parameters.flat_size());
  const Tensor bound = build(gradients.data());
  const Index offset = parameters.list()[1].offset;
  CHECK(bound.data == parameters.values() + offset);
  CHECK(bound.grad == gradients.data() + offset);
  CHECK(bound.is_parameter);
  CHECK(std::string(bound.name) == "b.weight");
  CHECK(build(nullptr).grad == nullptr);
  const Tensor found = parameters.at("b.weight", gradients.data());
  CHECK(found.data == bound.data);
  CHECK(found.grad == bound.grad);
  CHECK(found.shape == Shape{2, 2});
  CHECK(reinterpret_cast<std::uintptr_t>(bound.data) % 64 == 0);

  // A second building that declares something else.
  const Builder root(parameters, nullptr);
  check_throws([&] { root.parameter("a", {4}, Init::ones()); }, {"shape of a", "got [4]", "expected [3]"});
  check_throws([&] { root.parameter("c", {3}, Init::ones()); }, {"no parameter c"});
}

TEST_CASE("a duplicate and an unknown path are errors", "[parameters]") {
  Parameters parameters;
  const Builder root(parameters, nullptr);
  (root / "mlp").parameter("weight", {2}, Init::ones());
  (root / "mlp").parameter("bias", {2}, Init::ones());
  check_throws([&] { (root / "mlp").parameter("bias", {2}, Init::ones()); },
               {"parameter mlp.bias: got a second declaration"});
  check_throws([&] { parameters.at("mlp.wieght"); }, {"no parameter mlp.wieght", "did you mean mlp.weight?"});
  check_throws([&] { parameters.at("embedding"); },
               {"no parameter embedding", "known: mlp.weight, mlp.bias"});
}

std::vector<Real> initial(const std::vector<std::string>& order, std::uint64_t seed,
                          const std::string& path) {
  Parameters parameters;
  for (const std::string& name : order) Builder(parameters, nullptr).parameter(name, {4, 9}, Init::normal(1));
  parameters.allocate();
  parameters.initialise(seed);
  return values_of(parameters.at(path));
}

TEST_CASE("initial values are a function of seed and path, not of order", "[parameters]") {
  for (const std::string path : {"a", "b", "c"}) {
    CHECK(initial({"a", "b", "c"}, 1, path) == initial({"c", "a", "b"}, 1, path));
    CHECK(initial({"a", "b", "c"}, 1, path) == initial({path}, 1, path));
    CHECK(initial({"a", "b", "c"}, 1, path) != initial({"a", "b", "c"}, 2, path));
  }
  CHECK(initial({"a", "b"}, 1, "a") != initial({"a", "b"}, 1, "b"));
}

TEST_CASE("initial values have the law that was asked for", "[parameters]") {
  Parameters parameters;
  const Builder root(parameters, nullptr);
  constexpr Index n = 100000;
  root.parameter("normal", {n}, Init::normal(0.02));
  root.parameter("uniform", {n}, Init::uniform(0.5));
  root.parameter("ones", {33}, Init::ones());
  root.parameter("zeros", {33}, Init::zeros());
  Init with_zero_row = Init::normal(1);
  with_zero_row.zero_row = 2;
  root.parameter("table", {4, 6}, with_zero_row);
  parameters.allocate();
  std::fill_n(parameters.values(), parameters.flat_size(), Real(9));  // old values must not show through
  parameters.initialise(4);

  const auto mean_and_deviation = [&](const char* path) {
    double sum = 0, squares = 0;
    for (Real x : values_of(parameters.at(path))) {
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const double mean = sum / n;
    return std::pair{mean, std::sqrt(squares / n - mean * mean)};
  };
  const double five_sigma = 5 / std::sqrt(static_cast<double>(n));
  const auto [normal_mean, normal_deviation] = mean_and_deviation("normal");
  CHECK(std::fabs(normal_mean) < 0.02 * five_sigma);
  CHECK(std::fabs(normal_deviation - 0.02) < 0.02 * five_sigma / std::sqrt(2.0));
  const auto [uniform_mean, uniform_deviation] = mean_and_deviation("uniform");
  CHECK(std::fabs(uniform_mean) < 0.5 / std::sqrt(3.0) * five_sigma);
  CHECK(std::fabs(uniform_deviation - 0.5 / std::sqrt(3.0)) < 0.5 * five_sigma);
  for (Real x : values_of(parameters.at("uniform"))) REQUIRE((x >= Real(-0.5) && x < Real(0.5)));
  CHECK(values_of(parameters.at("ones")) == std::vector<Real>(33, Real(1)));
  CHECK(values_of(parameters.at("zeros")) == std::vector<Real>(33, Real(0)));
  const std::vector<Real> table = values_of(parameters.at("table"));
  for (std::size_t i = 0; i < table.size(); ++i) CHECK((table[i] == 0) == (i / 6 == 2));
}

TEST_CASE("a buffer starts as zeros, aligned", "[parameters]") {
  for (Index n : {1, 17, 5000000}) {
    Buffer buffer(n);
    CHECK(buffer.size() == n);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(std::all_of(buffer.data(), buffer.data() + n, [](Real x) { return x == 0; }));
    buffer.data()[n - 1] = 3;
    buffer.zero();
    CHECK(buffer.data()[n - 1] == 0);
  }
  CHECK(Buffer().data() == nullptr);
}

// ---- Workers
// -----------------------------------------------------------------------------------------------

TEST_CASE("shares cover everything once, in order and evenly", "[workers]") {
  const Random random{3, stream_of(Purpose::test), 0};
  for (std::uint64_t trial = 0; trial < 3000; ++trial) {
    const auto draw = [&](std::uint64_t which, std::uint64_t below) {
      return static_cast<Index>(random.below(8 * trial + which, below));
    };
    const Index n = draw(0, trial % 2 ? 40 : 100000), parts = 1 + draw(1, 24);
    const Index grain = trial % 3 ? 1 : 1 + draw(2, 20);
    INFO(n << " in " << parts << " parts, multiples of " << grain);
    Index end = 0, smallest = n, largest = 0;
    for (Index part = 0; part < parts; ++part) {
      const Share share = share_of(n, part, parts, grain);
      REQUIRE(share.first == end);
      REQUIRE(share.last >= share.first);
      REQUIRE((share.last == n || share.last % grain == 0));
      end = share.last;
      smallest = std::min(smallest, share.size());
      largest = std::max(largest, share.size());
    }
    REQUIRE(end == n);
    // By one grain at most; the very last grain may be cut short.
    REQUIRE(largest - smallest <= (grain == 1 ? 1 : 2 * grain - 1));
  }
}

TEST_CASE("every worker is called once a round, with its own number", "[workers]") {
  for (Index count : {1, 2, 3, 8}) {
    Workers workers(count);
    CHECK(workers.count() == count);
    std::vector<std::atomic<int>> calls(count);
    const std::thread::id here = std::this_thread::get_id();
    bool first_is_here = false;
    for (int round = 1; round <= 50; ++round) {
      workers.run([&](Index worker) {
        ++calls[worker];
        if (worker == 0) first_is_here = std::this_thread::get_id() == here;
      });
      for (const auto& c : calls) REQUIRE(c == round);
    }
    CHECK(first_is_here);
  }
}

TEST_CASE("workers: where the system allows no more threads, that is an error, and no wait for ever",
          "[workers]") {
  // Root may have as many threads as memory for their stacks allows; an address sanitiser takes all there is.
  const bool root = ::geteuid() == 0;
#if defined(__SANITIZE_ADDRESS__)
  const bool sanitised = true;
#elif defined(__has_feature)
  const bool sanitised = __has_feature(address_sanitizer);
#else
  const bool sanitised = false;
#endif
  if (root && sanitised) {
    WARN("skipped: memory cannot be limited under the address sanitiser");
    return;
  }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // must not come back into the tests
    try {
      ::alarm(20);  // a wait for ever ends here
      const rlimit none{0, 0}, stack{8 << 20, RLIM_INFINITY}, little{600 << 20, 600 << 20};
      ::setrlimit(RLIMIT_NPROC, &none);
      ::setrlimit(RLIMIT_STACK, &stack);  // what each thread takes
      if (root) ::setrlimit(RLIMIT_AS, &little);
      const std::string message = thrown_by([] { Workers workers(1024); });
      ::_exit(contains(message, "threads could be made") ? 0 : 1);
    } catch (...) {
      ::_exit(3);
    }
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("workers run at the same time", "[workers]") {
  // Each waits until all have come: with fewer threads than workers this would never end.
  Workers workers(4);
  std::atomic<int> arrived = 0;
  workers.run([&](Index) {
    ++arrived;
    while (arrived < 4) std::this_thread::yield();
  });
  CHECK(arrived == 4);
}

TEST_CASE("the exception of the lowest worker comes out, and the workers stay usable", "[workers]") {
  Workers workers(4);
  for (Index lowest = 0; lowest < 4; ++lowest) {
    std::atomic<int> finished = 0;
    const auto run = [&] {
      workers.run([&](Index worker) {
        if (worker >= lowest) throw Error("worker " + std::to_string(worker));
        ++finished;
      });
    };
    CHECK(thrown_by(run) == "worker " + std::to_string(lowest));
    CHECK(finished == lowest);
    // Nothing is left of it in the next round.
    std::atomic<int> calls = 0;
    workers.run([&](Index) { ++calls; });
    CHECK(calls == 4);
  }
}

TEST_CASE("the number of workers has bounds", "[workers]") {
  check_throws([] { Workers none(0); }, {"workers: got 0", "expected 1 to 1024"});
  check_throws([] { Workers none(-1); }, {"workers: got -1"});
  check_throws([] { Workers many(1025); }, {"workers: got 1025"});
}

// ---- Nearest names
// -----------------------------------------------------------------------------------------

TEST_CASE("edit distances", "[nearest]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("steps", "steps") == 0);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("saturday", "sunday") == 3);
  CHECK(edit_distance("ab", "ba") == 1);
  CHECK(edit_distance("wieght", "weight") == 1);
  CHECK(edit_distance("ca", "abc") == 3);  // 2 without the restriction that no letter is edited twice
  CHECK(edit_distance("abcdef", "badcfe") == 3);
  CHECK(edit_distance("flaw", "lawn") == edit_distance("lawn", "flaw"));
}

TEST_CASE("the nearest name, if there is one near enough", "[nearest]") {
  const std::vector<std::string> names = {"steps", "seed", "batch", "learning-rate", "lr"};
  CHECK(nearest("setps", names) == "steps");
  CHECK(nearest("bacth", names) == "batch");
  CHECK(nearest("learning_rate", names) == "learning-rate");
  CHECK(nearest("steps", names) == "steps");
  CHECK(nearest("dropout", names) == "");
  CHECK(nearest("bxxch", names) == "");  // 2 of 5 letters are too many
  CHECK(nearest("steps", {}) == "");
  CHECK(nearest("le", names) == "lr");             // 1 edit is allowed however short the name
  CHECK(nearest("cat", {"cab", "car"}) == "cab");  // the first of equals
  CHECK(suggestion("sede", names) == "did you mean seed?");
  CHECK(suggestion("dropout", {"a", "b"}) == "known: a, b");
}

}  // namespace
}  // namespace ef
