// The options of regularisers by field, for tests that vary them.
#pragma once
#include <string>

#include "models/config.h"

struct RegulariserOptions {
  std::string name = "none";
  double strength = 0, hold = 0;
  std::string scale = "frobenius", mean = "running";
  double target = 0;
  ef::Index target_warmup = 0;
  std::string layers = "all", heads = "all";
  ef::Index warmup = 0;

  void put(ef::ModelConfig& config) const {
    config.regulariser = name;
    config.options.set("strength", strength);
    config.options.set("hold", hold);
    config.options.set("scale", scale);
    config.options.set("mean", mean);
    config.options.set("target", target);
    config.options.set("target-warmup", target_warmup);
    config.options.set("reg-layers", layers);
    config.options.set("reg-heads", heads);
    config.options.set("reg-warmup", warmup);
  }
};
