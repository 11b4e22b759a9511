// What .ci/setup asks for, on machines that lack something: compiler, pkg-config and apt-get are stubs here.
#include "tests/programs.h"

using namespace ef;

namespace {

// What it says and returns where these words are missing: names of headers or packages, between |.
Outcome setup(const std::string& arguments, const std::string& missing, bool apt = true) {
  const Folder folder;
  const auto stub = [&](const std::string& name, const std::string& script) {
    folder.write(name, "#!/bin/bash\n" + script + "\n");
    fs::permissions(folder / name, fs::perms::owner_all);
  };
  const std::string refuse = "case \"$asked\" in " + missing + ") exit 1 ;; esac\nexit 0";
  stub("g++", "asked=\"$* $(cat)\"\n" + refuse);
  stub("pkg-config", "asked=\"$*\"\n" + refuse);
  if (apt) stub("apt-get", "echo \"apt-get $*\" >&2; exit 1");
  for (const char* tool : {"bash", "cat", "id", "mktemp", "rm", "tail", "sudo"}) {
    const std::string path = std::string("/usr/bin/") + tool;
    if (fs::exists(path)) fs::create_symlink(path, folder / tool);
  }
  const int raw = std::system(("PATH='" + folder.path.string() + "' CXX=g++ /bin/bash .ci/setup " +
                               arguments + " >'" + (folder / "out") + "' 2>&1 </dev/null")
                                  .c_str());
  return {WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, read_file(folder / "out")};
}

const std::string nothing = "nothing-at-all", catch2 = "*catch2*", lapacke = "*lapacke*|*LAPACKE*";

}  // namespace

TEST_CASE("setup asks for what is missing, and for the test library only for tests", "[setup]") {
  if (!fs::exists(".ci/setup") || !fs::exists("/usr/bin/bash")) return;
  CHECK(setup("", nothing).status == 0);
  CHECK(setup("tests", nothing).status == 0);
  CHECK(setup("", catch2).status == 0);
  CHECK(setup("", catch2, false).status == 0);
  CHECK(contains(setup("tests", catch2).text, "Installing catch2 ..."));
  CHECK(setup("tests", catch2).status == 1);  // the stub installs nothing
  const Outcome elsewhere = setup("tests", catch2, false);
  CHECK(elsewhere.status == 1);
  CHECK(elsewhere.text == "Please install: Catch2\n");
  // An OpenBLAS that has LAPACKE in it has no lapacke.pc.
  CHECK(setup("", "*--exists?lapacke*").status == 0);
  CHECK(setup("", lapacke, false).text == "Please install: LAPACKE\n");
  CHECK(setup("", "*openblas*|" + lapacke, false).text == "Please install: OpenBLAS, LAPACKE\n");
}
