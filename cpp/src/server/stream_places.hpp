// How many streams may be under way: for the whole server, and for one address.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace framecall {

/// Streams under way, of one kind. Thread-safe.
class StreamPlaces : public std::enable_shared_from_this<StreamPlaces> {
 public:
  /// `name`: of the limit, for errors. `share`: how many of them one address may have.
  StreamPlaces(const char* name, std::size_t most, std::size_t share) : name_(name), most_(most), share_(share) {}
  /// Until the last pointer is gone. Throws CallError(resource_exhausted).
  std::shared_ptr<void> take(std::string_view address);
  std::size_t share() const { return share_; }
  const char* name() const { return name_; }

 private:
  void give_back(const std::string& address);

  const char* const name_;
  const std::size_t most_, share_;
  std::mutex mutex_;
  std::size_t count_ = 0;
  std::map<std::string, std::size_t, std::less<>> by_address_;
};

}  // namespace framecall
