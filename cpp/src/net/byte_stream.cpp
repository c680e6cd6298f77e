#include "net/byte_stream.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

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

// sendfile() has no MSG_NOSIGNAL: keep the SIGPIPE of a lost peer from this thread, and from the program.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    const int error = errno;
    const timespec at_once{};
    while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

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

ssize_t PlainStream::read_or_wait(char* block, std::size_t size) { return ::recv(socket_, block, size, 0); }

// From the page cache to the socket where the system can.
ssize_t PlainStream::write_file(int file, off_t& offset, std::size_t size) {
  ssize_t count = 0;
  {
    const WithoutSigpipe without_sigpipe;
    count = repeated([&] { return ::sendfile(socket_, file, &offset, size); });
  }
  if (count >= 0 || (errno != EINVAL && errno != ENOSYS)) return count;
  char block[64 * 1024];
  count = repeated([&] { return ::pread(file, block, std::min(size, sizeof block), offset); });
  if (count < 0) errno = EIO;
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

ssize_t CountingStream::write_file(int file, off_t& offset, std::size_t size) {
  return count_sent(stream_->write_file(file, offset, size));
}

}  // namespace framecall
