// What a connection has to send, in order: bytes that are gathered, blocks and files that are not copied.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/detail/file_store.hpp"
#include "framecall/wire/buffer.hpp"
#include "net/byte_stream.hpp"

namespace framecall {

/// Owns no memory while it is empty.
class SendQueue {
 public:
  enum class Result : std::uint8_t {
    sent,     ///< everything
    blocked,  ///< the stream takes no more now
    more,     ///< it is not, but others want to send too
    lost,     ///< errno says why
    shrunk,   ///< a file has fewer bytes than were promised; file_name() tells which
  };

  bool empty() const { return segments_.empty(); }
  /// Bytes in memory.
  std::size_t memory() const { return memory_; }
  bool has_file() const { return files_ > 0; }
  /// Of the file that is next, or under way: bytes left, and its name. Only if has_file().
  std::uint64_t file_left() const;
  const std::string& file_name() const;

  // All of them append everything, or throw std::bad_alloc and append nothing.
  void append(std::string_view bytes);
  void append(Buffer block);
  void append_frame(std::string_view prefix, std::string_view header, Buffer&& body);
  void append_frame(std::string_view prefix, std::string_view header, FileStore::Download&& file,
                    Buffer&& trailer = {});
  void clear();

  /// Sends what the stream takes, at most a few MiB.
  Result send_to(ByteStream& stream);

 private:
  struct Segment {
    Buffer bytes;
    std::unique_ptr<FileStore::Download> file;
    off_t offset = 0;
  };
  static std::uint64_t left_of(const Segment& segment);
  Segment& tail();
  void make_room(std::size_t count);
  const Segment& next_file() const;
  void pop();
  ssize_t send_memory(ByteStream& stream);
  ssize_t send_file(ByteStream& stream);

  std::vector<Segment> segments_;  // from first_ on; cleared when all are sent
  std::size_t first_ = 0;
  std::size_t memory_ = 0;
  int files_ = 0;
};

}  // namespace framecall
