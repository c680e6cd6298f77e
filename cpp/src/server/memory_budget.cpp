#include "server/memory_budget.hpp"

#include <unistd.h>

#include <fstream>
#include <string>

#include "framecall/error.hpp"

namespace framecall {

std::uint64_t default_max_memory() {
  constexpr std::uint64_t part = 4;
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
  std::uint64_t memory = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream group("/sys/fs/cgroup/memory.max");  // "max" where there is no limit: no number
  if (std::uint64_t limit = 0; group >> limit) memory = std::min(memory, limit);
  return memory / part;
}

void MemoryBudget::check(std::uint64_t own, std::uint64_t size) const {
  if (own + size <= left()) return;
  const std::uint64_t in_use = used();
  throw CallError(ErrorCode::resource_exhausted,
                  "no memory for " + std::to_string(size) + " more bytes: " + std::to_string(in_use) +
                      " are in use, of which this connection has " + std::to_string(own) + "; max_memory is " +
                      std::to_string(limit_),
                  limit_data(limit_, in_use + size));
}

}  // namespace framecall
