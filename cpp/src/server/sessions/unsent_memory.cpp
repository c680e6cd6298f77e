#include "server/sessions/unsent_memory.hpp"

#include <string>

#include "framecall/error.hpp"

namespace framecall {

void check_unsent(std::uint64_t unsent, std::uint64_t most, std::uint64_t size, const char* what) {
  if (unsent == 0 || unsent + size <= most) return;
  throw CallError(
      ErrorCode::resource_exhausted,
      std::to_string(unsent + size) + " bytes of " + what + ": max_connection_memory is " + std::to_string(most),
      limit_data(most, unsent + size));
}

PartCharge::PartCharge(std::shared_ptr<PartRoom> room, std::uint64_t size) {
  const std::uint64_t own = room->under_way + room->unsent;
  check_unsent(own, room->most, size, "unsent replies and parts");
  room->memory->check(own, size);
  charge_ = MemoryCharge(room->memory, size);
  room_ = std::move(room);
  room_->under_way += size;
}

void PartCharge::end() {
  if (const auto room = std::move(room_)) room->under_way -= charge_.bytes();
  charge_.set(0);
}

}  // namespace framecall
