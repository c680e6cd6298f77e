// How often each of many senders may do something, in memory that does not grow with them.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace framecall {

/// A token bucket for each key, in a table of fixed size. Keys that share a place share its tokens: a table that forgot old
/// keys to make room for new ones would forget whoever forges enough addresses. Which keys share is different in each process.
class RateTable {
 public:
  /// `burst` at once, then `per_second`. 0 per second: no limit.
  RateTable(std::uint64_t per_second, std::uint64_t burst)
      : per_millisecond_(static_cast<double>(per_second) / 1000), burst_(static_cast<double>(burst)) {
    if (per_second > 0) buckets_.resize(places, {burst_, 0});
  }

  /// False if `key` has used up its rate. `now`: milliseconds.
  bool take(std::uint64_t key, std::int64_t now) {
    if (buckets_.empty()) return true;
    Bucket& bucket = buckets_[mixed(key ^ seed_) % places];
    const double grown = bucket.tokens + static_cast<double>(now - bucket.since) * per_millisecond_;
    bucket.tokens = grown < burst_ ? grown : burst_;
    bucket.since = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    std::int64_t since;
  };
  static constexpr std::size_t places = 4096;

  // The finalizer of SplitMix64: every bit of the key moves every bit of the place.
  static std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
  }
  static std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }

  double per_millisecond_, burst_;
  std::vector<Bucket> buckets_;
  std::uint64_t seed_ = random_seed();
};

}  // namespace framecall
