// Being told to stop: Ctrl-C, kill, a terminal that is closed.
#pragma once
#include <atomic>

namespace ef {

// From now on the first SIGINT, SIGTERM or SIGHUP only asks; the second one kills, as the default handler is
// back. A SIGHUP that is ignored, as nohup has it, stays so. A pipe that nobody reads any more (SIGPIPE)
// asks, too.
void heed_stop_signals();
const std::atomic<bool>& stop_asked();
int stop_signal();  // the signal that asked; 0: none has
// If one has asked, ends this process by that signal, so that the shell or make that started it ends, too,
// and sees status 130 (143, 129, 141). Else returns.
void end_if_stopped();

}  // namespace ef
