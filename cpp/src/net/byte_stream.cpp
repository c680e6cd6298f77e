#include "net/byte_stream.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/sockets.hpp"

namespace framecall {
namespace {

template <class Function>
ssize_t repeated(Function call) {
  ssize_t count = 0;
  do {
    count = call();
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

ssize_t PlainStream::read(char* block, std::size_t size) {
  return repeated([&] { return ::recv(socket_, block, size, MSG_DONTWAIT); });
}

ssize_t PlainStream::write(const iovec* pieces, std::size_t count, bool more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  return repeated([&] { return ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0)); });
}

// From the page cache to the socket where the system can.
ssize_t PlainStream::write_file(int file, off_t& offset, std::size_t size, char* block, std::size_t block_size) {
  ssize_t count = 0;
  {
    const WithoutSigpipe without_sigpipe;
    count = repeated([&] { return ::sendfile(socket_, file, &offset, size); });
  }
  if (count >= 0 || (errno != EINVAL && errno != ENOSYS)) return count;
  count = repeated([&] { return ::pread(file, block, std::min(size, block_size), offset); });
  if (count <= 0) return count;
  const iovec piece{block, static_cast<std::size_t>(count)};
  count = write(&piece, 1, false);
  offset += std::max<ssize_t>(count, 0);
  return count;
}

void PlainStream::end_writing() { ::shutdown(socket_, SHUT_WR); }

ssize_t CountingStream::read(char* block, std::size_t size) {
  const ssize_t count = stream_->read(block, size);
  if (count > 0) {
    received_ += static_cast<std::uint64_t>(count);
    all_.received.fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
  }
  return count;
}

ssize_t CountingStream::count_sent(ssize_t count) {
  if (count > 0) {
    sent_ += static_cast<std::uint64_t>(count);
    all_.sent.fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
  }
  return count;
}

ssize_t CountingStream::write(const iovec* pieces, std::size_t count, bool more) {
  return count_sent(stream_->write(pieces, count, more));
}

ssize_t CountingStream::write_file(int file, off_t& offset, std::size_t size, char* block, std::size_t block_size) {
  return count_sent(stream_->write_file(file, offset, size, block, block_size));
}

}  // namespace framecall
