#include "server/stream_places.hpp"

#include "framecall/error.hpp"

namespace framecall {

std::shared_ptr<void> StreamPlaces::take(std::string_view address) {
  const auto refuse = [this](std::size_t got, std::size_t limit, const char* whose) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(got) + " streams" + whose + ": " + name_ + " is " + std::to_string(most_),
                    limit_data(limit, got));
  };
  struct Place {
    ~Place() {
      if (places) places->give_back(owner);
    }
    std::shared_ptr<StreamPlaces> places;  // once it is counted
    std::string owner;
  };
  const auto place = std::make_shared<Place>();
  place->owner = address;
  const std::lock_guard lock(mutex_);
  if (count_ >= most_) refuse(count_ + 1, most_, "");
  std::size_t& own = by_address_[place->owner];
  if (!place->owner.empty() && own >= share_)
    refuse(own + 1, share_, " of one address, which may have a share of them");
  ++count_;
  ++own;
  place->places = shared_from_this();
  return place;
}

void StreamPlaces::give_back(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --count_;
  const auto own = by_address_.find(address);
  if (--own->second == 0) by_address_.erase(own);
}

}  // namespace framecall
