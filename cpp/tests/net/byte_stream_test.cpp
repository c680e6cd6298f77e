#include "net/byte_stream.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>
#include <string>

#include "support/temporary_folder.hpp"

namespace framecall::byte_stream_test {
namespace {

struct Pair {
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0); }
  ~Pair() {
    ::close(ends[0]);
    if (ends[1] >= 0) ::close(ends[1]);
  }
  void close_peer() { ::close(std::exchange(ends[1], -1)); }
  std::string received() {
    std::string all(1 << 20, '\0');
    const ssize_t count = ::recv(ends[1], all.data(), all.size(), MSG_DONTWAIT);
    return all.substr(0, count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  int ends[2] = {-1, -1};
};

TEST(ByteStream, reads_writes_and_sends_files) {
  const TemporaryFolder folder;
  make_file(folder / "a", "0123456789");
  const Pair pair;
  ByteCounts all;
  CountingStream stream(std::make_unique<PlainStream>(pair.ends[0]), all);
  char block[64];
  EXPECT_EQ(stream.read(block, sizeof block), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(::send(pair.ends[1], "abc", 3, 0), 3);
  EXPECT_EQ(stream.read(block, sizeof block), 3);
  EXPECT_EQ(std::string(block, 3), "abc");

  iovec pieces[] = {{block, 1}, {block + 2, 1}};
  EXPECT_EQ(stream.write(pieces, 2, false), 2);
  const int file = ::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC);
  off_t offset = 4;
  EXPECT_EQ(stream.write_file(file, offset, 100), 6);
  EXPECT_EQ(offset, 10);
  EXPECT_EQ(stream.write_file(file, offset, 100), 0) << "the file ends there";
  ::close(file);
  EXPECT_EQ(const_cast<Pair&>(pair).received(), "ac456789");
  EXPECT_EQ(stream.received(), 3u);
  EXPECT_EQ(stream.sent(), 8u);
  EXPECT_EQ(all.received, 3u);
  EXPECT_EQ(all.sent, 8u);
}

TEST(ByteStream, sends_files_that_sendfile_refuses) {
  Pair pair;
  PlainStream stream(pair.ends[0]);
  const int file = ::open("/proc/version", O_RDONLY | O_CLOEXEC);
  off_t offset = 6;
  const ssize_t count = stream.write_file(file, offset, 4096);
  EXPECT_GT(count, 0);
  EXPECT_EQ(offset, 6 + count);
  EXPECT_EQ(pair.received(), content_of("/proc/version").substr(6, static_cast<std::size_t>(count)));
  ::close(file);
}

TEST(ByteStream, a_lost_peer_is_an_error_and_no_signal) {
  const TemporaryFolder folder;
  make_file(folder / "a", "0123456789");
  Pair pair;
  PlainStream stream(pair.ends[0]);
  pair.close_peer();
  char block[16] = "";
  const iovec piece{block, sizeof block};
  EXPECT_EQ(stream.write(&piece, 1, false), -1);
  EXPECT_EQ(errno, EPIPE);
  const int file = ::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC);
  off_t offset = 0;
  EXPECT_EQ(stream.write_file(file, offset, 10), -1);
  EXPECT_EQ(errno, EPIPE) << "kept over the signal mask";
  ::close(file);
  EXPECT_EQ(stream.read(block, sizeof block), 0);
}

bool pipe_signal_pending() {
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGPIPE) == 1;
}

TEST(ByteStream, a_signal_that_the_program_waits_for_stays_pending) {
  const TemporaryFolder folder;
  make_file(folder / "a", "0123456789");
  Pair pair;
  PlainStream stream(pair.ends[0]);
  pair.close_peer();
  const int file = ::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC);
  off_t offset = 0;
  sigset_t pipe, before;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  EXPECT_EQ(stream.write_file(file, offset, 10), -1);
  EXPECT_FALSE(pipe_signal_pending()) << "its own is taken away";
  ::raise(SIGPIPE);
  EXPECT_EQ(stream.write_file(file, offset, 10), -1);
  EXPECT_TRUE(pipe_signal_pending());
  const timespec at_once{};
  EXPECT_EQ(::sigtimedwait(&pipe, nullptr, &at_once), SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(file);
}

}  // namespace
}  // namespace framecall::byte_stream_test
