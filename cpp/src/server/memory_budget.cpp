#include "server/memory_budget.hpp"

#include <unistd.h>

#include <fstream>

namespace framecall {

std::uint64_t default_max_memory() {
  constexpr std::uint64_t part = 4;
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
  std::uint64_t memory = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream group("/sys/fs/cgroup/memory.max");  // "max" where there is no limit: no number
  if (std::uint64_t limit = 0; group >> limit) memory = std::min(memory, limit);
  return memory / part;
}

}  // namespace framecall
