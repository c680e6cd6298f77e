#include "server/fair_queue.hpp"

#include <iterator>
#include <utility>

namespace framecall {

void FairQueue::push(const WorkOrigin& origin, Task work, OnClose on_close) {
  std::list<Queued> queued;  // made first: nothing fails once there is a place for it
  queued.push_back({std::move(work), on_close});
  const std::lock_guard lock(mutex_);
  Lane& lane = lane_of(origin);
  lane.queue.splice(lane.queue.end(), queued);
  lane.closed = origin.once;
  relist(lane);
}

FairQueue::Lane& FairQueue::lane_of(const WorkOrigin& origin) {
  const auto found = lanes_.find(origin.connection);
  if (found != lanes_.end()) return found->second;
  auto address = addresses_.find(origin.address);
  if (address == addresses_.end()) {
    address = addresses_.try_emplace(std::string(origin.address), !origin.address.empty()).first;
  }
  try {
    Lane& lane = lanes_.try_emplace(origin.connection, origin.connection, address).first->second;
    ++address->second.lanes;
    return lane;
  } catch (...) {
    if (address->second.lanes == 0) addresses_.erase(address);
    throw;
  }
}

// A lane, and its address, are listed exactly while they may run.
void FairQueue::relist(Lane& lane) {
  Address& address = lane.address->second;
  if (may_run(lane) != lane.place.listed()) {
    may_run(lane) ? lane.place.enter(address.waiting) : lane.place.leave(address.waiting);
  }
  if (may_run(address) != address.place.listed()) {
    may_run(address) ? address.place.enter(addresses_waiting_) : address.place.leave(addresses_waiting_);
  }
}

std::optional<FairQueue::Taken> FairQueue::take() {
  const std::lock_guard lock(mutex_);
  if (addresses_waiting_.empty()) return std::nullopt;
  Address& address = *addresses_waiting_.front();
  Lane& lane = *address.waiting.front();
  // To the end of the lists, if they may run on.
  address.place.leave(addresses_waiting_);
  lane.place.leave(address.waiting);
  Taken task{std::move(lane.queue.front().work), lane.connection};
  lane.queue.pop_front();
  ++lane.running;
  ++address.running;
  relist(lane);
  return task;
}

void FairQueue::done(std::uint64_t connection) {
  const std::lock_guard lock(mutex_);
  Lane& lane = lanes_.at(connection);
  --lane.running;
  --lane.address->second.running;
  relist(lane);
  forget(lane);
}

bool FairQueue::ready() const {
  const std::lock_guard lock(mutex_);
  return !addresses_waiting_.empty();
}

void FairQueue::hold(std::uint64_t connection, bool held) {
  const std::lock_guard lock(mutex_);
  const auto found = lanes_.find(connection);
  if (found == lanes_.end()) return;
  Lane& lane = found->second;
  lane.held = held;
  relist(lane);
}

void FairQueue::drop(std::uint64_t connection) {
  std::list<Queued> dropped;  // destroyed outside of the lock
  const std::lock_guard lock(mutex_);
  const auto found = lanes_.find(connection);
  if (found == lanes_.end()) return;
  Lane& lane = found->second;
  for (auto one = lane.queue.begin(); one != lane.queue.end();) {
    const auto next = std::next(one);
    if (one->on_close == OnClose::drop) dropped.splice(dropped.end(), lane.queue, one);
    one = next;
  }
  lane.held = false;
  lane.closed = true;
  relist(lane);
  forget(lane);
}

void FairQueue::forget(Lane& lane) {
  if (!lane.closed || lane.running > 0 || !lane.queue.empty()) return;
  const auto address = lane.address;
  lanes_.erase(lane.connection);
  if (--address->second.lanes == 0) addresses_.erase(address);
}

}  // namespace framecall
