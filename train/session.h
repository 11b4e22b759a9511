// One run of training, from its configuration to what it writes at the end.
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "train/config.h"

namespace ef {

// Trains, in a folder of its own or (resume not empty) in the one given, and returns the folder; nothing if
// it was interrupted: then it has left a checkpoint. Errors are thrown; the last good checkpoint stays.
// show(folder, false) is called after each validation, show(folder, true) once at the end, whatever ends it.
using ShowRun = std::function<void(const std::string& folder, bool ended)>;
std::optional<std::string> run_training(const Config& config, const std::string& resume,
                                        const std::atomic<bool>& interrupted, const ShowRun& show = {});

}  // namespace ef
