// A growing block of bytes that never writes what nobody asked for: what prepare() gives is uninitialised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace framecall {

/// Writes `size` bytes in ASCII upper case to `out`, as bytes.upper() in Python; `out` may be `bytes`.
inline void upper_case(const char* bytes, std::size_t size, char* out) {
  for (std::size_t i = 0; i < size; ++i) {
    const char c = bytes[i];
    out[i] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
}

/// Bytes are added at the end and taken from the front. Views into it are valid until the next prepare(), append(),
/// clear() or release(). Growth doubles, so that memory follows what arrived and not what was announced. The first byte is at
/// a multiple of `alignment`, until some are taken from the front.
class Buffer {
 public:
  static constexpr std::size_t alignment = 64;

  Buffer() = default;
  /// Bytes of somebody else, to be read and not written; `owner` keeps them, and lets go of them on whatever thread the last
  /// buffer of them dies.
  Buffer(std::string_view bytes, std::shared_ptr<void> owner)
      : data_(const_cast<char*>(bytes.data())), end_(bytes.size()), capacity_(bytes.size()), owner_(std::move(owner)) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (!owner_) std::free(data_ - padding_);
  }

  std::string_view view() const { return {data_ + begin_, end_ - begin_}; }
  const char* data() const { return data_ + begin_; }
  char* data() { return data_ + begin_; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  /// Room for `size` more bytes behind the last one. Throws std::bad_alloc.
  char* prepare(std::size_t size) {
    if (capacity_ - end_ < size) grow(size);
    return data_ + end_;
  }
  /// The first `size` bytes of the prepared room have been written.
  void commit(std::size_t size) { end_ += size; }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(prepare(bytes.size()), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  /// Takes `size` bytes from the front.
  void consume(std::size_t size) {
    begin_ += size;
    if (begin_ == end_) clear();
  }
  void clear() { begin_ = end_ = 0; }
  /// Empties it and gives the memory back.
  void release() {
    Buffer gone;
    swap(gone);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
    std::swap(padding_, other.padding_);
    owner_.swap(other.owner_);
  }
  void grow(std::size_t size) {
    if (size > PTRDIFF_MAX - end_) throw std::bad_alloc();
    if (owner_) {
      copy(size);
      return;
    }
    if (begin_ > 0) {
      std::memmove(data_, data_ + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      if (capacity_ - end_ >= size) return;
    }
    std::size_t capacity = capacity_ > 0 ? capacity_ * 2 : 256;
    if (capacity < end_ + size) capacity = end_ + size;
    auto* block = static_cast<char*>(std::realloc(data_ - padding_, capacity + alignment));
    if (block == nullptr) throw std::bad_alloc();
    const std::size_t padding = alignment - reinterpret_cast<std::uintptr_t>(block) % alignment;
    // Rare: large blocks move by whole pages.
    if (padding != padding_ && end_ > 0) std::memmove(block + padding, block + padding_, end_);
    data_ = block + padding;
    padding_ = padding;
    capacity_ = capacity;
  }
  void copy(std::size_t more) {
    Buffer own;
    own.prepare(size() + more);
    own.append(view());
    swap(own);
  }

  char* data_ = nullptr;
  std::size_t begin_ = 0, end_ = 0, capacity_ = 0, padding_ = 0;
  std::shared_ptr<void> owner_;
};

}  // namespace framecall
