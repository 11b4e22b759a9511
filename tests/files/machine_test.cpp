// The machine: what its results depend on, and how many processors a process may use.
#include "train/files/machine.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <thread>

#include "tests/programs.h"
#include "train/files/build.h"

using namespace ef;

namespace {

// A root with such files; folders are made.
struct Root : Folder {
  void put(const std::string& file, const std::string& text) const {
    fs::create_directories((path / file).parent_path());
    write(file, text);
  }
  Index processors() const { return usable_processors(path.string()); }
};

}  // namespace

TEST_CASE("processors are those that the process may use", "[machine]") {
  const Root root;
  const Index all = root.processors();  // no groups: affinity alone
  REQUIRE(all >= 1);
  const auto few = [&](Index quota) { return std::min(quota, all); };
  SECTION("cgroup version 2, with the quota of a group around it") {
    root.put("proc/self/cgroup", "0::/outer/inner\n");
    root.put("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
    CHECK(root.processors() == all);
    root.put("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
    CHECK(root.processors() == few(2));
    CHECK(share_under_quota(1, root.path.string()) == 1);
    root.put("sys/fs/cgroup/outer/inner/cpu.max", "20000 100000\n");
    CHECK(share_under_quota(1, root.path.string()) == Approx(0.2));
    CHECK(share_under_quota(8, root.path.string()) ==
          Approx(0.2 / static_cast<double>(std::min<Index>(8, all))));
    CHECK(root.processors() == 1);  // a part of one is one
  }
  SECTION("a container that sees its own group as the root") {
    root.put("proc/self/cgroup", "0::/\n");
    root.put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    CHECK(root.processors() == 1);
  }
  SECTION("cgroup version 1") {
    root.put("proc/self/cgroup", "3:memory:/docker/a\n2:cpu,cpuacct:/docker/a\n1:cpuset:/docker/a\n");
    root.put("sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n");
    root.put("sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "-1\n");
    CHECK(root.processors() == all);
    root.put("sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "100000\n");
    CHECK(root.processors() == 1);
  }
  SECTION("files that say nothing limit nothing") {
    root.put("proc/self/cgroup", "nonsense\n0::/\n:\n");
    root.put("sys/fs/cgroup/cpu.max", "");
    CHECK(root.processors() == all);
    root.put("sys/fs/cgroup/cpu.max", "0 0\n");
    CHECK(root.processors() == all);
  }
  SECTION("a quota above what is there") {
    root.put("proc/self/cgroup", "0::/\n");
    root.put("sys/fs/cgroup/cpu.max", "100000000 100000\n");
    CHECK(root.processors() == all);
  }
}

#ifdef __linux__
TEST_CASE("a thread that may run on one processor has one", "[machine]") {
  const Root root;
  Index seen = 0;
  bool pinned = false;
  std::thread([&] {  // the affinity of others stays
    cpu_set_t one, before;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof before, &before) != 0) return;
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    CPU_SET(first, &one);
    pinned = sched_setaffinity(0, sizeof one, &one) == 0;
    seen = root.processors();
  })
      .join();
  REQUIRE(pinned);
  CHECK(seen == 1);
}
#endif

TEST_CASE("how one machine differs from another, in words", "[machine]") {
  const Machine here = this_machine();
  CHECK(here.compiler == compiler());
  CHECK(!here.kernel.empty());
  CHECK(here.difference_from(here).empty());
  CHECK(here.difference_from({}).empty());  // an older version wrote nothing down
  Machine there = here;
  there.kernel = "Prescott";
  CHECK(here.difference_from(there) == "kernel Prescott, now " + here.kernel);
  there.processor = "another";
  CHECK(contains(here.difference_from(there), "processor another, now " + here.processor + "; kernel"));
}
