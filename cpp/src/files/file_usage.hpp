// How many bytes the files of a root have: one number for all servers of the root on this machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>

#include "files/folder.hpp"

namespace framecall {

/// The file `usage` in the private folder of a root. Each server that has a quota owns a slot in it, which only that server
/// writes, and locks it as long as it lives: bytes that it added (or removed), and bytes that are promised to uploads under
/// way. The sum of all slots and of what was counted at the start is what is used. A server that was killed leaves a slot
/// that is marked and not locked: its promises are void at once, and the next server that starts counts the files again.
/// Not seen: files that other programs put there while a server runs. Thread-safe.
class FileUsage {
 public:
  /// `count` returns the bytes of all files and parts. It is called unless another server of the root is alive and has done it.
  /// The caller makes sure that one server starts at a time. Throws SystemError.
  FileUsage(int folder, std::uint64_t quota, const std::function<std::uint64_t()>& count);
  ~FileUsage();
  FileUsage(const FileUsage&) = delete;

  /// Promises bytes to an upload. Throws CallError(resource_exhausted) if they are more than the quota leaves.
  void reserve(std::uint64_t bytes);
  /// Takes back a promise, and counts what has become of it: bytes that files and parts have more (or less) than before.
  void settle(std::uint64_t promised, std::int64_t used);
  /// What is used and promised, by all servers.
  std::uint64_t total();

 private:
  static constexpr std::size_t slot_count = 64;
  enum class State : std::uint64_t { unused, owned, left };  // left: by a server that ended well
  struct Slot {
    std::int64_t used = 0;
    std::uint64_t promised = 0;
    State state = State::unused;
    std::array<std::uint64_t, 5> padding{};
  };
  struct Content {
    std::uint64_t magic = 0;
    std::uint64_t counted = 0;
    std::array<std::uint64_t, 6> padding{};
    std::array<Slot, slot_count> slots;
  };

  void open(int folder);
  void claim_slot();
  void begin(const std::function<std::uint64_t()>& count);
  bool is_locked(std::size_t first, std::size_t count) const;
  Content read() const;
  void write(const void* data, std::size_t size, std::size_t offset) const;
  void write_slot(std::size_t index, const Slot& slot) const;
  static std::int64_t used_by(const Content& content);
  std::uint64_t total_locked(bool look_for_dead) const;

  const std::uint64_t quota_;
  std::mutex mutex_;  // of what follows
  Descriptor file_;
  std::size_t index_ = 0;
  Slot own_;
};

}  // namespace framecall
