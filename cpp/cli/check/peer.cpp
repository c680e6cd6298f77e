#include "check/peer.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "check/case.hpp"
#include "framecall/error.hpp"
#include "framecall/raw_client.hpp"
#include "framecall/wire/frame.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr std::size_t kept_of_a_piece = 400;       // bytes, for the transcript
constexpr std::size_t shown_of_a_piece = 240;      // characters of a line
constexpr std::size_t most_input = 80 << 20;       // bytes that wait for us to use them
constexpr std::uint64_t largest_reply = 64 << 20;  // bytes of a body that we read; nothing asks for more

// poll() of one socket; false when `until` passed first.
bool wait_for(int socket, short events, Clock::time_point until) {
  constexpr auto look_again = milliseconds(100);
  for (;;) {
    check_interrupt();
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    pollfd one{socket, events, 0};
    const int timeout = static_cast<int>(std::clamp(left, milliseconds(0), look_again).count());
    if (::poll(&one, 1, timeout) > 0) return true;
    if (left.count() <= 0) return false;
  }
}

// -1 for digits that are none.
std::int64_t length_in(std::string_view prefix, const PrefixFormat& format) {
  if (format.kind == PrefixFormat::Kind::decimal) {
    const std::size_t begin = std::min(prefix.find_first_not_of(' '), prefix.size());
    const std::string_view digits = prefix.substr(begin, prefix.find_last_not_of(' ') + 1 - begin);
    std::int64_t value = -1;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return problem == std::errc() && end == digits.data() + digits.size() ? value : -1;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    const std::size_t at = format.order == PrefixFormat::Order::big ? i : prefix.size() - 1 - i;
    value = value << 8 | static_cast<unsigned char>(prefix[at]);
  }
  return prefix.size() == 4 ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value);
}

}  // namespace

std::string escaped(std::string_view bytes, std::size_t max_size) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    if (text.size() >= max_size) return text.append("...");
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
  }
  return text;
}

std::string prefix_of(std::int64_t length) {
  std::string prefix;
  for (int shift = 0; shift < 32; shift += 8) prefix += static_cast<char>(length >> shift & 0xff);
  return prefix;
}

std::string head_of(std::string_view header) {
  return prefix_of(static_cast<std::int64_t>(header.size())).append(header);
}

std::string prefix_code(const PrefixFormat& format) {
  if (format.kind == PrefixFormat::Kind::decimal) {
    return "b'%0" + std::to_string(format.width) + "d' % len(header)";
  }
  const bool big = format.order == PrefixFormat::Order::big;
  const char* letter = format.width == 2 ? "h" : format.width == 8 ? "q" : "i";
  return std::string("struct.pack('") + (big ? ">" : "<") + letter + "', len(header)), " +
         (big ? "big-endian" : "little-endian");
}

Failure no_frame(const std::string& subject, const std::string& bytes, const PrefixFormat& format) {
  Dialect dialect;
  dialect.prefixes = {format};
  std::string problem = "no frame";
  try {
    Decoder decoder(default_max_header_size, dialect);
    Header header;
    decoder.feed(bytes);
    decoder.next_event(header);
  } catch (const ProtocolError& error) {
    problem = error.what();
  }
  std::string hint = "begin every frame with " + prefix_code(format) + ", and send nothing else";
  if (problem.find("prefix.order = \"big\"") != std::string::npos) {
    hint += "; framecall itself reads big-endian lengths with --dialect big-endian";
  }
  return {subject + " begins with " + escaped(bytes, 40) + ": " + problem, hint};
}

// ----- Transcript

void Transcript::add(char kind, std::string_view bytes) {
  if (bytes.empty()) return;
  if (entries_.empty() || entries_.back().kind != kind) {
    if (entries_.size() >= 4 * max_entries) {
      entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(2 * max_entries));
    }
    entries_.push_back({kind, {}, 0, 0});
  }
  Entry& entry = entries_.back();
  if (entry.start.size() < kept_of_a_piece) entry.start.append(bytes.substr(0, kept_of_a_piece));
  entry.size += bytes.size();
  ++entry.pieces;
}

void Transcript::note(std::string_view text) { entries_.push_back({'-', std::string(text), 0, 0}); }

std::vector<std::string> Transcript::lines() const {
  std::vector<std::string> lines;
  std::size_t first = entries_.size();
  for (int connections = 0; first > 0 && entries_.size() - first < max_entries; --first) {  // the last two connections
    if (entries_[first - 1].kind == '-' && entries_[first - 1].start.starts_with("connection ") && ++connections > 2)
      break;
  }
  if (first > 0) lines.push_back("note  the last steps:");
  for (std::size_t i = first; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.kind == '-') {
      lines.push_back("note  " + entry.start);
      continue;
    }
    std::string line = entry.kind == '>' ? "sent  " : "came  ";
    line.append(std::to_string(entry.size)).append(entry.size == 1 ? " byte" : " bytes");
    if (entry.kind == '>' && entry.pieces > 1)
      line.append(" in ").append(std::to_string(entry.pieces)).append(" pieces");
    line.append(": ").append(escaped(entry.start, shown_of_a_piece));
    if (entry.size > entry.start.size() && !line.ends_with("...")) line += "...";
    lines.push_back(std::move(line));
  }
  return lines;
}

const Json& Frame::member(const char* key) const {
  static const Json null;
  const auto found = header.find(key);
  return found != header.end() ? *found : null;
}

// ----- Peer

Peer::Peer(int socket, Transcript& transcript, Clock::time_point deadline, const PrefixFormat& format)
    : socket_(socket), transcript_(&transcript), deadline_(deadline), format_(format) {}

Peer::Peer(Peer&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      transcript_(other.transcript_),
      deadline_(other.deadline_),
      format_(other.format_),
      input_(std::move(other.input_)),
      reads_while_sending_(other.reads_while_sending_),
      broken_(other.broken_),
      ended_(other.ended_),
      reset_(other.reset_) {}

Peer& Peer::operator=(Peer&& other) noexcept {
  if (this == &other) return *this;
  close();
  socket_ = std::exchange(other.socket_, -1);
  transcript_ = other.transcript_;
  deadline_ = other.deadline_;
  format_ = other.format_;
  input_ = std::move(other.input_);
  reads_while_sending_ = other.reads_while_sending_;
  broken_ = other.broken_;
  ended_ = other.ended_;
  reset_ = other.reset_;
  return *this;
}

void Peer::keep_little() {
  const int size = 16 * 1024;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void Peer::send(std::string_view bytes) {
  transcript_->sent(bytes);
  while (!bytes.empty() && !broken_) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      const bool reads = reads_while_sending_ && !ended_;
      if (!wait_for(socket_, static_cast<short>(reads ? POLLOUT | POLLIN : POLLOUT), deadline_)) {
        throw Failure{"the peer stopped reading: " + std::to_string(bytes.size()) + " bytes could not be sent in time",
                      ""};
      }
      if (reads) receive(Clock::time_point::min(), 1 << 16);
    } else if (errno != EINTR) {
      broken_ = true;
      transcript_->note("the other side took no more: the connection is closed");
    }
  }
}

void Peer::send_cut(std::string_view bytes, const std::vector<std::size_t>& cuts, milliseconds pause) {
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    if (cut <= begin || cut >= bytes.size()) continue;
    send(bytes.substr(begin, cut - begin));
    begin = cut;
    sleep_until(Clock::now() + pause);
  }
  send(bytes.substr(begin));
}

void Peer::send_each_byte(std::string_view bytes, milliseconds pause) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  send_cut(bytes, cuts, pause);
}

// False when nothing came before `until`. Sets ended_ at the end of the stream.
bool Peer::receive(Clock::time_point until, std::size_t max_size) {
  std::array<char, 1 << 16> block;
  for (;;) {
    if (ended_) return true;
    const ssize_t count = ::recv(socket_, block.data(), std::min(max_size, block.size()), MSG_DONTWAIT);
    if (count > 0) {
      const std::string_view bytes(block.data(), static_cast<std::size_t>(count));
      transcript_->came(bytes);
      input_ += bytes;
      if (input_.size() > most_input) {
        throw Failure{"a flood: more than " + std::to_string(most_input) + " bytes came that nobody asked for", ""};
      }
      return true;
    }
    if (count == 0) {
      transcript_->note("the other side ended the connection");
      ended_ = true;
    } else if (errno == EAGAIN) {
      if (until == Clock::time_point::min() || !wait_for(socket_, POLLIN, until)) return false;
    } else if (errno != EINTR) {
      transcript_->note("the other side broke the connection off: " + std::generic_category().message(errno));
      ended_ = reset_ = true;
    }
  }
}

void Peer::late(std::string_view awaited) const {
  std::string text = "nothing more came in time; awaited: ";
  if (input_.empty()) text = "nothing came in time; awaited: ";
  throw Failure{text.append(awaited), ""};
}

// False at the end of the stream, with fewer bytes.
bool Peer::fill(std::size_t size, std::string_view awaited) {
  while (input_.size() < size && !ended_) {
    if (!receive(deadline_, size - input_.size())) late(awaited);
  }
  return input_.size() >= size;
}

std::string Peer::read(std::size_t size, std::string_view awaited) {
  fill(size, awaited);
  std::string bytes = input_.substr(0, size);
  input_.erase(0, bytes.size());
  return bytes;
}

std::optional<Frame> Peer::read_frame(std::string_view awaited) {
  const std::string prefix = read(format_.width, awaited);
  if (prefix.empty()) return std::nullopt;
  if (prefix.size() < format_.width) {
    throw Failure{
        "the connection ended inside the " + std::to_string(format_.width) + " bytes of a length: " + escaped(prefix),
        ""};
  }
  const std::int64_t length = length_in(prefix, format_);
  if (length < 2 || length > std::int64_t{largest_max_header_size}) {
    something_comes(milliseconds(20));
    throw no_frame("what came", prefix + input_, format_);
  }
  Frame frame;
  frame.text = read(static_cast<std::size_t>(length), "the header, " + std::to_string(length) + " bytes");
  if (frame.text.size() < static_cast<std::size_t>(length)) {
    throw Failure{"the connection ended inside a header: " + escaped(frame.text, 60),
                  "the length counts the bytes of the encoded header, not its characters; send all of it (sendall)"};
  }
  try {
    frame.header = parse_json(frame.text);
  } catch (const ProtocolError& error) {
    throw Failure{std::string("a header that is no JSON (").append(error.what()) + "): " + escaped(frame.text, 80),
                  "the length counts the bytes of the encoded header: len(json.dumps(header).encode('utf-8'))"};
  }
  if (!frame.header.is_object()) throw Failure{"a header that is no JSON object: " + escaped(frame.text, 80), ""};
  const Json& size = frame.member("body_size");
  if (!frame.has("body_size")) return frame;
  if (!size.is_number_integer() || size < 0 || size > largest_reply) {
    throw Failure{"a body_size that is no size: " + escaped(dump_json(size), 60), ""};
  }
  const auto count = size.get<std::size_t>();
  frame.body = read(count, "a body of " + std::to_string(count) + " bytes");
  if (frame.body.size() < count) {
    throw Failure{"the connection ended after " + std::to_string(frame.body.size()) + " of " + std::to_string(count) +
                      " bytes of a body",
                  "body_size is the number of bytes behind the header; send all of them (sendall)"};
  }
  return frame;
}

std::string Peer::read_to_end(std::string_view awaited) {
  while (!ended_) {
    if (!receive(deadline_, 1 << 16)) late(awaited);
  }
  return std::exchange(input_, {});
}

std::string Peer::read_rest(milliseconds quiet) {
  while (!ended_ && receive(std::min(Clock::now() + quiet, deadline_), 1 << 16)) {
  }
  return std::exchange(input_, {});
}

bool Peer::something_comes(milliseconds time) {
  if (!input_.empty() || ended_) return true;
  return receive(std::min(Clock::now() + time, deadline_), 1 << 16);
}

void Peer::finish_sending() {
  transcript_->note("we ended our direction (shutdown)");
  ::shutdown(socket_, SHUT_WR);
}

void Peer::reset() {
  transcript_->note("we broke the connection off (RST)");
  const linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void Peer::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void Peer::shrink_buffers() {
  const int size = 32768;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

// ----- connecting and listening

int connect_to(const Endpoint& endpoint, milliseconds timeout) {
  try {
    const RawClient client(endpoint, timeout);
    const int socket = ::fcntl(client.descriptor(), F_DUPFD_CLOEXEC, 0);
    if (socket < 0) throw std::system_error(errno, std::generic_category(), "dup");
    return socket;
  } catch (const std::system_error& error) {
    throw Gone{error.what()};
  }
}

Listener::Listener(const Endpoint& endpoint) : endpoint_(endpoint) {
  const auto fail = [&endpoint](int error) {
    throw std::system_error(error, std::generic_category(), endpoint.to_string());
  };
  if (endpoint.is_unix()) throw std::invalid_argument("--listen: HOST:PORT, not " + endpoint.to_string());
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found) != 0) fail(ENOENT);
  socket_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  if (socket_ >= 0) ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool listens =
      socket_ >= 0 && ::bind(socket_, found->ai_addr, found->ai_addrlen) == 0 && ::listen(socket_, 16) == 0;
  const int error = errno;
  ::freeaddrinfo(found);
  if (!listens) fail(error);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket_, reinterpret_cast<sockaddr*>(&bound), &size);
  const bool v6 = bound.ss_family == AF_INET6;
  endpoint_.port = ntohs(v6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                            : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

Listener::~Listener() {
  if (socket_ >= 0) ::close(socket_);
}

int Listener::accept(Clock::time_point deadline) {
  while (wait_for(socket_, POLLIN, deadline)) {
    const int socket = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) continue;
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return socket;
  }
  return -1;
}

}  // namespace framecall::cli::check
