#include "server/stream_places.hpp"

#include "framecall/error.hpp"

namespace framecall {

std::shared_ptr<void> StreamPlaces::take(std::string_view address) {
  const auto refuse = [this](std::size_t got, std::size_t limit, const char* whose) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(got) + " streams" + whose + ": " + name_ + " is " + std::to_string(most_),
                    limit_data(limit, got));
  };
  std::string owner(address);
  const std::lock_guard lock(mutex_);
  if (count_ >= most_) refuse(count_ + 1, most_, "");
  std::size_t& own = by_address_[owner];
  if (!owner.empty() && own >= share_) refuse(own + 1, share_, " of one address, which may have a share of them");
  std::shared_ptr<void> place(nullptr, [self = shared_from_this(), owner](void*) { self->give_back(owner); });
  ++count_;
  ++own;
  return place;
}

void StreamPlaces::give_back(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --count_;
  const auto own = by_address_.find(address);
  if (--own->second == 0) by_address_.erase(own);
}

}  // namespace framecall
