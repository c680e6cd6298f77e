#include "framecall/stream.hpp"

#include <utility>

namespace framecall {
bool Stream::read(Part& part) {
  Lock lock(mutex_);
  changed_.wait(lock, [this] { return may_read(); });
  return take(part, lock);
}

Stream::Attempt Stream::try_read(Part& part, std::function<void()> ready) {
  Lock lock(mutex_);
  if (!may_read()) {
    reader_ = std::move(ready);
    return Attempt::later;
  }
  return take(part, lock) ? Attempt::done : Attempt::end;
}

bool Stream::take(Part& part, Lock& lock) {
  if (failure_) throw CallError(*failure_);
  if (parts_.empty()) return false;
  part = std::move(parts_.front());
  parts_.pop_front();
  unread_ -= part.weight();
  const bool resume = held_ && unread_ < most_ / 4;
  if (resume) held_ = false;
  lock.unlock();
  if (resume) resume_();
  return true;
}

void Stream::write(Part part) {
  Lock lock(mutex_);
  changed_.wait(lock, [this] { return may_write(); });
  put(std::move(part), lock);
}

Stream::Attempt Stream::try_write(Part& part, std::function<void()> ready) {
  Lock lock(mutex_);
  if (!may_write()) {
    writer_ = std::move(ready);
    return Attempt::later;
  }
  put(std::move(part), lock);
  return Attempt::done;
}

bool Stream::wants_more(std::function<void()> ready) {
  const Lock lock(mutex_);
  if (may_write()) return true;
  writer_ = std::move(ready);
  return false;
}

void Stream::put(Part part, Lock& lock) {
  if (failure_) throw CallError(*failure_);
  if (!accepts_parts_) {
    throw CallError(ErrorCode::invalid_request, "the answer is a stream, and the request lacks \"stream\": true");
  }
  const std::size_t size = part.weight();
  unsent_ += size;
  lock.unlock();
  try {
    send_(std::move(part));
  } catch (...) {
    release(size);
    throw;
  }
}

bool Stream::deliver(Part part) {
  const Lock lock(mutex_);
  if (failure_) return true;
  unread_ += part.weight();
  parts_.push_back(std::move(part));
  held_ = unread_ >= most_;
  notify(reader_);
  return !held_;
}

void Stream::end() {
  const Lock lock(mutex_);
  ended_ = true;
  notify(reader_);
}

void Stream::release(std::size_t weight) {
  const Lock lock(mutex_);
  unsent_ -= weight;
  notify(writer_);
}

void Stream::fail(const CallError& error) {
  const Lock lock(mutex_);
  if (failure_) return;
  failure_.emplace(error);
  parts_.clear();
  notify(reader_);
  notify(writer_);
}

void Stream::notify(std::function<void()>& waiting) {
  changed_.notify_all();
  if (const auto ready = std::exchange(waiting, nullptr)) ready();
}

}  // namespace framecall
