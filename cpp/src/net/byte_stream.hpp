// Bytes in both directions over one connected, non-blocking socket: plain, counted, and encrypted ones look alike.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace framecall {

/// Reads and writes return a count of bytes, or -1 with errno: EAGAIN if they cannot go on before the socket is ready. A read
/// that returns 0 found the end of what the peer sends. Interrupted system calls are repeated. One thread at a time.
class ByteStream {
 public:
  enum class Ready : std::uint8_t { to_read, to_write };

  virtual ~ByteStream() = default;
  virtual ssize_t read(char* block, std::size_t size) = 0;
  /// read() on a blocking socket: may wait as long as the socket does, see set_blocking(), and EINTR ends it. A stream that cannot
  /// wait answers EAGAIN.
  virtual ssize_t read_or_wait(char* block, std::size_t size) { return read(block, size); }
  /// `more`: another write follows at once, so that a short segment may wait for it.
  virtual ssize_t write(const iovec* pieces, std::size_t count, bool more) = 0;
  /// Sends at most `size` bytes of `file` from `offset` on, and moves `offset`. 0: the file ends there. EIO is an error of the
  /// file.
  virtual ssize_t write_file(int file, off_t& offset, std::size_t size) = 0;
  /// Nothing more is written; reading goes on.
  virtual void end_writing() = 0;
  /// What the socket has to be ready for before read(), or write(), can go on after EAGAIN. Encryption may have to write
  /// before it can read.
  virtual Ready read_needs() const { return Ready::to_read; }
  virtual Ready write_needs() const { return Ready::to_write; }

 protected:
  ByteStream() = default;
  ByteStream(const ByteStream&) = default;
  ByteStream& operator=(const ByteStream&) = default;
};

/// The bytes as they are. Does not own the socket.
class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(int socket = -1) : socket_(socket) {}
  ssize_t read(char* block, std::size_t size) override;
  ssize_t read_or_wait(char* block, std::size_t size) override;
  ssize_t write(const iovec* pieces, std::size_t count, bool more) override;
  ssize_t write_file(int file, off_t& offset, std::size_t size) override;
  void end_writing() override;

 private:
  int socket_;
};

/// Bytes that went through streams. Thread-safe.
struct ByteCounts {
  std::atomic<std::uint64_t> received{0}, sent{0};
};

/// Counts what goes through another stream, for itself and for `all`, which must outlive it.
class CountingStream final : public ByteStream {
 public:
  CountingStream(std::unique_ptr<ByteStream> stream, ByteCounts& all) : stream_(std::move(stream)), all_(all) {}
  ssize_t read(char* block, std::size_t size) override;
  ssize_t write(const iovec* pieces, std::size_t count, bool more) override;
  ssize_t write_file(int file, off_t& offset, std::size_t size) override;
  void end_writing() override { stream_->end_writing(); }
  Ready read_needs() const override { return stream_->read_needs(); }
  Ready write_needs() const override { return stream_->write_needs(); }

  std::uint64_t received() const { return received_; }
  std::uint64_t sent() const { return sent_; }

 private:
  ssize_t count_sent(ssize_t count);

  std::unique_ptr<ByteStream> stream_;
  ByteCounts& all_;
  std::uint64_t received_ = 0, sent_ = 0;
};

}  // namespace framecall
