// The memory that a server has for its peers: requests under way, unsent replies, parts of streams.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace framecall {

/// A quarter of the memory that this process may use: the machine's, or its control group's if that is less. Bytes.
std::uint64_t default_max_memory();

/// Bytes in use of a limit. Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit) : limit_(limit) {}
  std::uint64_t limit() const { return limit_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  /// What is left. Nobody may have more than is left for all the others: so however many take what they can get, there is
  /// always something for the next one.
  std::uint64_t left() const { return limit_ - std::min(limit_, used()); }
  /// Throws CallError(resource_exhausted) if there is no memory for `size` bytes more of a connection that has `own`: it may have
  /// as much as is left for all others.
  void check(std::uint64_t own, std::uint64_t size) const;
  void add(std::uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void subtract(std::uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

/// Bytes of a budget in use as long as it lives. It may outlive the server.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  MemoryCharge(std::shared_ptr<MemoryBudget> budget, std::uint64_t bytes) : budget_(std::move(budget)), bytes_(bytes) {
    budget_->add(bytes_);
  }
  MemoryCharge(MemoryCharge&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryCharge() {
    if (budget_) budget_->subtract(bytes_);
  }
  std::uint64_t bytes() const { return bytes_; }
  /// Changes it.
  void set(std::uint64_t bytes) {
    if (bytes == bytes_) return;
    budget_->add(bytes - bytes_);  // modulo 2^64
    bytes_ = bytes;
  }

 private:
  std::shared_ptr<MemoryBudget> budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace framecall
