// The memory that unsent replies and parts of one connection may have.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "server/memory_budget.hpp"

namespace framecall {

/// Throws CallError(resource_exhausted) if a connection with `unsent` bytes may not have `size` more, of `what`. A first reply
/// always has room.
void check_unsent(std::uint64_t unsent, std::uint64_t most, std::uint64_t size, const char* what);

/// What handlers on other threads check before they send a large part. Thread-safe.
struct PartRoom {
  PartRoom(std::shared_ptr<MemoryBudget> budget, std::uint64_t limit) : memory(std::move(budget)), most(limit) {}
  const std::shared_ptr<MemoryBudget> memory;
  const std::uint64_t most;                 ///< max_connection_memory
  std::atomic<std::uint64_t> under_way{0};  ///< bytes between handlers and the connection
  std::atomic<std::uint64_t> unsent{0};     ///< bytes that the connection has
};

/// Counts a part on its way from its handler to its connection.
class PartCharge {
 public:
  PartCharge() = default;
  /// Throws CallError(resource_exhausted) if the connection, or the server, has no memory for `size` bytes. So a part that is
  /// too much is destroyed before it is on its way.
  PartCharge(std::shared_ptr<PartRoom> room, std::uint64_t size);
  PartCharge(PartCharge&& other) noexcept : charge_(std::move(other.charge_)), room_(std::move(other.room_)) {}
  PartCharge& operator=(PartCharge&&) = delete;
  ~PartCharge() { end(); }

  bool counted() const { return room_ != nullptr; }
  void end();

 private:
  MemoryCharge charge_;
  std::shared_ptr<PartRoom> room_;
};

}  // namespace framecall
