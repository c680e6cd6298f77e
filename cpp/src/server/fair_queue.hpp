// Work of many connections for few threads, so that no connection and no address waits for the work of another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/task.hpp"

namespace framecall {

/// Who some work is for.
struct WorkOrigin {
  std::uint64_t connection;  ///< a number that no other connection of the server has
  std::string_view address;  ///< without the port; empty, for Unix sockets: its share is not limited
  bool once = false;         ///< nothing else of this connection will come: a datagram
};

/// Addresses take turns, and so do the connections of an address; the work of one connection runs in order. At most `share`
/// pieces of work of one connection, and of one address, run at a time. Thread-safe.
class FairQueue {
 public:
  struct Taken {
    Task work;
    std::uint64_t connection;
  };

  /// What becomes of queued work when its connection is closed.
  enum class OnClose : std::uint8_t { drop, run };

  explicit FairQueue(std::size_t share) : share_(share) {}

  void push(const WorkOrigin& origin, Task work, OnClose on_close = OnClose::drop);
  /// The next piece of work that may run now, or nothing. Whoever takes it calls done() after it.
  std::optional<Taken> take();
  void done(std::uint64_t connection);
  /// take() would return something.
  bool ready() const;
  /// While held, queued work of this connection does not start: there is no room for its results.
  void hold(std::uint64_t connection, bool held);
  /// The connection is closed: its queued work is destroyed, but for what is to run all the same.
  void drop(std::uint64_t connection);
  /// How much of one connection, or of one address, runs at a time.
  std::size_t share() const { return share_; }

 private:
  // A place in a list of those that may run: it moves in and out without an allocation, so that done() cannot fail.
  template <class T>
  struct Place {
    explicit Place(T* owner) : out{owner}, self(out.begin()) {}
    Place(const Place&) = delete;
    bool listed() const { return out.empty(); }
    void enter(std::list<T*>& list) { list.splice(list.end(), out); }
    void leave(std::list<T*>& list) { out.splice(out.end(), list, self); }
    std::list<T*> out;  // holds the element while it is not listed
    const typename std::list<T*>::iterator self;
  };

  struct Lane;
  // The connections of one address that have work.
  struct Address {
    explicit Address(bool is_limited) : limited(is_limited) {}
    std::list<Lane*> waiting;
    std::size_t running = 0, lanes = 0;
    const bool limited;
    Place<Address> place{this};  // in addresses_waiting_
  };
  using Addresses = std::map<std::string, Address, std::less<>>;
  struct Queued {
    Task work;
    OnClose on_close;
  };
  struct Lane {
    Lane(std::uint64_t key, Addresses::iterator its_address) : connection(key), address(its_address) {}
    const std::uint64_t connection;
    const Addresses::iterator address;
    std::list<Queued> queue;
    std::size_t running = 0;
    bool held = false, closed = false;
    Place<Lane> place{this};  // in its address' list
  };

  bool may_run(const Lane& lane) const { return !lane.queue.empty() && !lane.held && lane.running < share_; }
  bool may_run(const Address& address) const {
    return !address.waiting.empty() && (!address.limited || address.running < share_);
  }
  Lane& lane_of(const WorkOrigin& origin);
  void relist(Lane& lane);
  void forget(Lane& lane);

  const std::size_t share_;
  mutable std::mutex mutex_;
  Addresses addresses_;
  std::unordered_map<std::uint64_t, Lane> lanes_;
  std::list<Address*> addresses_waiting_;  // every one of which may run
};

}  // namespace framecall
