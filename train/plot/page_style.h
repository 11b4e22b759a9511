// How pages look, and what their script does. Private to train/plot/page.cpp.
#pragma once
#include <string>

namespace ef {

std::string page_style();   // after chart_style(), whose colours it uses
std::string page_script();  // after chart_script(): sorting and copying

}  // namespace ef
