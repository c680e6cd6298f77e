#include "commands/arguments.hpp"

#include <cstdio>

#include "framecall/error.hpp"

namespace framecall::cli {

void complain(std::string_view message) { std::fprintf(stderr, "framecall: %s\n", printable(message, 2000).c_str()); }

}  // namespace framecall::cli
