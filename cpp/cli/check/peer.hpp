// One connection of `framecall check`: bytes in chosen pieces, and what comes back, within the time of the case.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/case.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/json.hpp"

namespace framecall::cli::check {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Bytes as text: what is printable ASCII stays, the others as `\x1b`; cut at about `max_size` characters.
std::string escaped(std::string_view bytes, std::size_t max_size = 160);

/// "the 4 bytes of length and the header" of a frame in the taught format.
std::string head_of(std::string_view header);
/// The four bytes of a length in the taught format.
std::string prefix_of(std::int64_t length);
/// How lengths are written, as Python does it: `struct.pack('<i', len(header))`.
std::string prefix_code(const PrefixFormat& format);

/// For bytes of `subject` that begin with what is no length: what a server of ours says about them.
Failure no_frame(const std::string& subject, const std::string& bytes, const PrefixFormat& format = PrefixFormat());

/// What went over the connections of a case. Cut: the start of each piece, and the last pieces of all.
class Transcript {
 public:
  static constexpr std::size_t max_entries = 14;

  void sent(std::string_view bytes) { add('>', bytes); }
  void came(std::string_view bytes) { add('<', bytes); }
  void note(std::string_view text);
  void clear() { entries_.clear(); }
  std::vector<std::string> lines() const;

 private:
  struct Entry {
    char kind;
    std::string start;
    std::uint64_t size;
    std::size_t pieces;
  };
  void add(char kind, std::string_view bytes);

  std::vector<Entry> entries_;
};

/// A frame that came.
struct Frame {
  std::string text;  ///< of the header
  Json header;
  std::string body;

  /// The member, or null.
  const Json& member(const char* key) const;
  bool has(const char* key) const { return header.contains(key); }
};

/// Movable. Throws Failure where what comes is no frame, or does not come before the deadline.
class Peer {
 public:
  /// Takes `socket` over. `transcript` must outlive the peer. `format`: how it writes lengths.
  Peer(int socket, Transcript& transcript, Clock::time_point deadline, const PrefixFormat& format = PrefixFormat());
  Peer(Peer&& other) noexcept;
  Peer& operator=(Peer&& other) noexcept;
  ~Peer() { close(); }

  /// All of it. What comes meanwhile is kept for later. That a peer which has ended the connection takes nothing more
  /// is no error here, see broken().
  void send(std::string_view bytes);
  /// The pieces that end at `cuts`, each in a segment of its own, `pause` apart.
  void send_cut(std::string_view bytes, const std::vector<std::size_t>& cuts, milliseconds pause);
  void send_each_byte(std::string_view bytes, milliseconds pause);
  /// Nothing is read while we send.
  void hold_back() { reads_while_sending_ = false; }
  /// The kernel keeps little of what comes, so that a peer soon notices that nobody reads. Before anything is sent.
  void keep_little();
  /// The peer took not all of what was sent.
  bool broken() const { return broken_; }

  /// The next frame; nothing at the end of the stream between two frames. `awaited`: for the message if none comes.
  std::optional<Frame> read_frame(std::string_view awaited);
  /// Exactly `size` bytes, fewer only at the end of the stream.
  std::string read(std::size_t size, std::string_view awaited);
  /// All bytes up to the end of the stream.
  std::string read_to_end(std::string_view awaited);
  /// All bytes up to the end of the stream, or until nothing comes for `quiet`.
  std::string read_rest(milliseconds quiet);
  /// True if a byte, or the end, comes within `time`. It stays unread.
  bool something_comes(milliseconds time);
  /// The stream has ended; nothing is left to read.
  bool at_end() const { return ended_ && input_.empty(); }
  bool was_reset() const { return reset_; }
  /// What has come and was not read.
  const std::string& input() const { return input_; }

  void finish_sending();
  /// Ends the connection with a RST.
  void reset();
  void close();
  /// Small buffers, so that the other side feels that we do not read.
  void shrink_buffers();

 private:
  bool receive(Clock::time_point until, std::size_t max_size);
  bool fill(std::size_t size, std::string_view awaited);
  [[noreturn]] void late(std::string_view awaited) const;

  int socket_;
  Transcript* transcript_;
  Clock::time_point deadline_;
  PrefixFormat format_;
  std::string input_;
  bool reads_while_sending_ = true, broken_ = false, ended_ = false, reset_ = false;
};

/// A socket connected to `endpoint`. Throws Gone.
int connect_to(const Endpoint& endpoint, milliseconds timeout);

/// A listening socket.
class Listener {
 public:
  /// Throws std::system_error.
  explicit Listener(const Endpoint& endpoint);
  ~Listener();
  Listener(const Listener&) = delete;

  /// With the port that the system chose.
  const Endpoint& endpoint() const { return endpoint_; }
  /// The next connection; -1 if none comes before `deadline`.
  int accept(Clock::time_point deadline);

 private:
  Endpoint endpoint_;
  int socket_ = -1;
};

}  // namespace framecall::cli::check
