#include "net/send_queue.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"

namespace framecall::send_queue_test {
namespace {

using Result = SendQueue::Result;

// A stream that accepts at most `most` bytes of a write and `room` of all, or fails if it is told to.
class ShortStream final : public ByteStream {
 public:
  explicit ShortStream(std::size_t most_bytes = SIZE_MAX) : most(most_bytes) {}
  ssize_t read(char*, std::size_t) override { return fail(EAGAIN); }
  ssize_t write(const iovec* pieces, std::size_t count, bool more) override {
    if (error != 0 || room == 0) return fail(error != 0 ? error : EAGAIN);
    writes.push_back({count, more});
    const std::size_t accepted = std::min(most, room);
    std::size_t left = accepted;
    for (const iovec& piece : std::span(pieces, count)) {
      const std::size_t part = std::min(left, piece.iov_len);
      bytes.append(static_cast<const char*>(piece.iov_base), part);
      left -= part;
    }
    first_piece = pieces[0].iov_base;
    room -= accepted - left;
    return static_cast<ssize_t>(accepted - left);
  }
  ssize_t write_file(int file, off_t& offset, std::size_t size) override {
    if (error != 0 || room == 0) return fail(error != 0 ? error : EAGAIN);
    char block[4096];
    const ssize_t count = ::pread(file, block, std::min({size, most, room, sizeof block}), offset);
    if (count <= 0) return count;
    room -= static_cast<std::size_t>(count);
    bytes.append(block, static_cast<std::size_t>(count));
    offset += count;
    return count;
  }
  void end_writing() override {}

  struct Write {
    std::size_t pieces;
    bool more;
  };
  std::size_t most, room = SIZE_MAX;
  int error = 0;
  std::string bytes;
  std::vector<Write> writes;
  const void* first_piece = nullptr;

 private:
  static ssize_t fail(int value) {
    errno = value;
    return -1;
  }
};

Buffer buffer(std::string_view bytes) {
  Buffer block;
  block.append(bytes);
  return block;
}

struct Sending {
  Result send() { return queue.send_to(stream); }
  SendQueue queue;
  ShortStream stream;
};

TEST(SendQueue, everything_arrives_in_order_however_short_the_writes_are) {
  const TemporaryFolder folder;
  const std::string file = some_bytes(70'000, 3), large = some_bytes(40'000, 4);
  make_file(folder / "a", file);
  FileStore files(folder.path());
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, SIZE_MAX}) {
    Sending sending;
    sending.stream.most = most;
    SendQueue& queue = sending.queue;
    queue.append("abc");
    queue.append_frame("P1", "{small}", buffer("body"));
    queue.append_frame("P2", "{large}", buffer(large));
    queue.append("behind");
    queue.append(buffer(large));
    queue.append_frame("P3", "{file}", files.open("a"), buffer("trailer"));
    FileStore::Download range = files.open("a");
    range.set_range(10, 5);
    queue.append_frame("P4", "{range}", std::move(range));
    queue.append("end");
    EXPECT_EQ(queue.memory(), 3 + 13 + 9 + 40'000 + 6 + 40'000 + 8 + 7 + 9 + 3u);
    EXPECT_EQ(sending.send(), Result::sent);
    EXPECT_EQ(sending.stream.bytes, "abcP1{small}bodyP2{large}" + large + "behind" + large + "P3{file}" + file +
                                        "trailerP4{range}" + file.substr(10, 5) + "end");
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.memory(), 0u);
    EXPECT_FALSE(queue.has_file());
  }
}

TEST(SendQueue, memory_counts_what_is_not_sent_yet) {
  Sending sending;
  sending.queue.append(std::string(100, 'a'));
  sending.queue.append(buffer(std::string(20'000, 'b')));
  sending.stream.room = 0;
  EXPECT_EQ(sending.send(), Result::blocked);
  EXPECT_EQ(sending.queue.memory(), 20'100u);
  sending.stream.room = 150;
  EXPECT_EQ(sending.send(), Result::blocked);
  EXPECT_EQ(sending.queue.memory(), 19'950u);
  sending.stream.room = SIZE_MAX;
  EXPECT_EQ(sending.send(), Result::sent);
  EXPECT_EQ(sending.queue.memory(), 0u);
}

TEST(SendQueue, small_replies_share_one_block_and_one_write) {
  Sending sending;
  for (int i = 0; i < 100; ++i) sending.queue.append_frame("1234", "{\"id\": 1}", buffer("body"));
  EXPECT_EQ(sending.send(), Result::sent);
  ASSERT_EQ(sending.stream.writes.size(), 1u);
  EXPECT_EQ(sending.stream.writes[0].pieces, 1u);
}

TEST(SendQueue, a_large_body_is_not_copied) {
  Sending sending;
  Buffer body = buffer(std::string(100'000, 'x'));
  const void* const bytes = body.data();
  sending.queue.append(std::move(body));
  EXPECT_EQ(sending.send(), Result::sent);
  EXPECT_EQ(sending.stream.first_piece, bytes);
}

TEST(SendQueue, a_head_may_wait_for_the_file_behind_it) {
  const TemporaryFolder folder;
  make_file(folder / "a", "content");
  FileStore files(folder.path());
  Sending sending;
  sending.queue.append_frame("1234", "{}", files.open("a"), buffer("trailer"));
  EXPECT_EQ(sending.send(), Result::sent);
  ASSERT_EQ(sending.stream.writes.size(), 2u);
  EXPECT_TRUE(sending.stream.writes[0].more);
  EXPECT_FALSE(sending.stream.writes[1].more) << "nothing follows the trailer";
}

TEST(SendQueue, one_connection_does_not_send_for_ever) {
  Sending sending;
  for (int i = 0; i < 10; ++i) sending.queue.append(buffer(std::string(1 << 20, 'x')));
  sending.stream.most = 1 << 20;
  EXPECT_EQ(sending.send(), Result::more);
  EXPECT_EQ(sending.stream.bytes.size(), std::size_t{4} << 20);
  EXPECT_EQ(sending.send(), Result::more);
  EXPECT_EQ(sending.send(), Result::sent);
  EXPECT_EQ(sending.stream.bytes.size(), std::size_t{10} << 20);
}

TEST(SendQueue, a_file_that_has_shrunk_is_reported_with_its_name) {
  const TemporaryFolder folder;
  make_file(folder / "a", std::string(1000, 'a'));
  FileStore files(folder.path());
  Sending sending;
  sending.stream.most = 300;
  sending.queue.append_frame("1234", "{}", files.open("a"));
  EXPECT_TRUE(sending.queue.has_file());
  EXPECT_EQ(sending.queue.file_left(), 1000u);
  std::filesystem::resize_file(folder / "a", 400);
  EXPECT_EQ(sending.send(), Result::shrunk);
  EXPECT_EQ(sending.queue.file_name(), "a");
  EXPECT_EQ(sending.queue.file_left(), 600u);
  EXPECT_EQ(sending.stream.bytes, "1234{}" + std::string(400, 'a'));
}

TEST(SendQueue, a_file_that_was_sent_is_no_longer_there_though_more_follows) {
  const TemporaryFolder folder;
  make_file(folder / "a", "content");
  FileStore files(folder.path());
  Sending sending;
  sending.queue.append_frame("1234", "{}", files.open("a"));
  sending.queue.append("behind");
  sending.stream.room = 6 + 7;
  EXPECT_EQ(sending.send(), Result::blocked);
  EXPECT_FALSE(sending.queue.has_file()) << "the connection is read again";
  EXPECT_EQ(sending.queue.memory(), 6u);
}

TEST(SendQueue, an_empty_file_is_a_frame_without_a_body) {
  const TemporaryFolder folder;
  make_file(folder / "empty", "");
  FileStore files(folder.path());
  Sending sending;
  sending.queue.append_frame("1234", "{}", files.open("empty"));
  EXPECT_FALSE(sending.queue.has_file());
  EXPECT_EQ(sending.send(), Result::sent);
  EXPECT_EQ(sending.stream.bytes, "1234{}");
}

TEST(SendQueue, a_full_stream_is_not_a_lost_one) {
  const TemporaryFolder folder;
  make_file(folder / "a", "content");
  FileStore files(folder.path());
  Sending sending;
  sending.queue.append("head");
  sending.stream.error = EPIPE;
  EXPECT_EQ(sending.send(), Result::lost);
  EXPECT_EQ(errno, EPIPE);
  sending.queue.clear();
  sending.queue.append_frame("", "", files.open("a"));
  sending.stream.error = ECONNRESET;
  EXPECT_EQ(sending.send(), Result::lost);
  EXPECT_EQ(errno, ECONNRESET);
  sending.stream.error = EAGAIN;
  EXPECT_EQ(sending.send(), Result::blocked);
  sending.stream.error = 0;
  EXPECT_EQ(sending.send(), Result::sent);
  EXPECT_EQ(sending.stream.bytes, "content");
}

TEST(SendQueue, clearing_it_closes_its_files) {
  const TemporaryFolder folder;
  make_file(folder / "a", "content");
  FileStore files(folder.path());
  Sending sending;
  FileStore::Download file = files.open("a");
  const int descriptor = file.descriptor();
  sending.queue.append_frame("1234", "{}", std::move(file));
  EXPECT_TRUE(std::filesystem::exists("/proc/self/fd/" + std::to_string(descriptor)));
  sending.queue.clear();
  EXPECT_FALSE(std::filesystem::exists("/proc/self/fd/" + std::to_string(descriptor)));
  EXPECT_TRUE(sending.queue.empty());
  EXPECT_EQ(sending.queue.memory(), 0u);
  EXPECT_FALSE(sending.queue.has_file());
}

}  // namespace
}  // namespace framecall::send_queue_test
