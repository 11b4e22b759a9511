// Tests that ask a second program, in Python, whether it gets the same.
#pragma once
#include <cstdlib>
#include <string>

// A python3 that has this module, or "": the one that PYTHON names (python3 if none), else the system's.
inline std::string python_with(const std::string& module) {
  const char* chosen = std::getenv("PYTHON");
  for (const std::string python : {chosen ? chosen : "python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import " + module + "' >/dev/null 2>&1").c_str()) == 0) return python;
  }
  return "";
}
