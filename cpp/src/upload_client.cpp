#include "framecall/upload_client.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/json.hpp"
#include "sockets.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t piece_size = 4 << 20;  // of one sendfile(), so that progress is seen and an answer is noticed
constexpr auto look_again = std::chrono::milliseconds(50);

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
    const timespec at_once{};
    while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {  // opening a FIFO must not wait
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), path.string());
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      throw std::runtime_error(path.string() + ": not a regular file");
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
  OpenFile(const OpenFile&) = delete;
  ~OpenFile() { ::close(descriptor_); }
  int descriptor() const { return descriptor_; }
  std::uint64_t size() const { return size_; }

 private:
  int descriptor_;
  std::uint64_t size_;
};

// The error that an answer is, if it is one.
std::optional<RemoteError> refusal(const Header& header) {
  const Token* error = header.find(Key::error);
  if (error == nullptr) return std::nullopt;
  const Json value = parse_json(error->text);
  if (!value.is_object()) return std::nullopt;
  const Json code = value.value("code", Json(0)), message = value.value("message", Json(""));
  return RemoteError(code.is_number_integer() ? code.get<std::int64_t>() : 0,
                     printable(message.is_string() ? message.get<std::string>() : dump_json(message), 1000),
                     value.contains("data") ? dump_json(value["data"]) : std::string());
}

}  // namespace

UploadClient::UploadClient(const Endpoint& endpoint, UploadOptions options)
    : address_(endpoint.to_string()),
      options_(std::move(options)),
      socket_(open_connection(endpoint, options_.timeout)) {}

UploadClient::~UploadClient() { ::close(socket_); }

std::uint64_t UploadClient::send_file(const std::filesystem::path& path, std::string_view name) {
  const OpenFile file(path);
  const std::string head = encode_head(upload_header(options_.dialect, name, file.size()));
  usable_ = false;
  // The header is held back for the first bytes of the body, if there are any.
  send_bytes(head, file.size() > 0 ? MSG_MORE : 0);
  if (options_.progress) options_.progress(0, file.size());
  send_body(file.descriptor(), path.string(), file.size());
  usable_ = true;
  return file.size();
}

void UploadClient::send_bytes(std::string_view bytes, int flags) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      wait_writable();
    } else if (errno != EINTR) {
      lost(errno);
    }
  }
}

void UploadClient::send_body(int file, const std::string& shown, std::uint64_t size) {
  const WithoutSigpipe without_sigpipe;
  std::vector<char> block;  // for files that cannot go to a socket by themselves
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(size - static_cast<std::uint64_t>(offset), piece_size));
    ssize_t count = 0;
    if (block.empty()) {
      count = ::sendfile(socket_, file, &offset, piece);
      if (count < 0 && (errno == EINVAL || errno == ENOSYS)) {
        block.resize(1 << 20);
        continue;
      }
    } else {
      count = ::pread(file, block.data(), std::min(piece, block.size()), offset);
      if (count < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), shown);
      if (count > 0) {
        send_bytes({block.data(), static_cast<std::size_t>(count)}, 0);
        offset += count;
      }
    }
    if (count > 0) {
      if (options_.progress) options_.progress(static_cast<std::uint64_t>(offset), size);
      read_answer();
    } else if (count == 0) {
      throw std::runtime_error(shown + ": became shorter while it was sent, " + std::to_string(offset) + " of " +
                               std::to_string(size) + " bytes");
    } else if (errno == EAGAIN) {
      wait_writable();
    } else if (errno == EIO) {
      throw std::system_error(errno, std::generic_category(), shown);
    } else if (errno != EINTR) {
      lost(errno);
    }
  }
}

// Waits for room to send, and listens to the receiver meanwhile.
void UploadClient::wait_writable() {
  const auto deadline = Clock::now() + options_.timeout;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted{socket_, static_cast<short>(ended_ ? POLLOUT : POLLOUT | POLLIN), 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno != EINTR) lost(errno);
    if (ready == 0) no_progress();
    if (ready > 0 && (wanted.revents & POLLIN) != 0) read_answer();
    if (ready > 0 && (wanted.revents & ~POLLIN) != 0) return;
  }
}

// Takes in what the receiver has said so far, without waiting. A frame with an error ends the upload; other things that
// some receivers say (a greeting, "OK") are not for us.
void UploadClient::read_answer() {
  Header header;
  while (!ended_) {
    const auto space = decoder_.prepare();
    const ssize_t count = ::recv(socket_, space.data(), space.size(), MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EAGAIN) return;
      if (errno == EINTR) continue;
      throw std::system_error(errno, std::generic_category(), address_ + ": the connection was lost");
    }
    decoder_.commit(static_cast<std::size_t>(count));
    ended_ = count == 0;
    try {
      while (decoder_.next_event(header) != Decoder::Event::need_data) {
        const auto error = refusal(header);
        if (error) throw RemoteError(*error);
      }
    } catch (const ProtocolError&) {
      decoder_ = Decoder();
    }
  }
}

void UploadClient::no_progress() const {
  throw std::system_error(ETIMEDOUT, std::generic_category(),
                          address_ + ": no progress for " + std::to_string(options_.timeout.count()) + " ms");
}

// A receiver that refused and closed has left its reason in front of the reset.
void UploadClient::lost(int errno_value) {
  read_answer();
  throw std::system_error(errno_value, std::generic_category(), address_ + ": the connection was lost");
}

bool UploadClient::finish() {
  if (::shutdown(socket_, SHUT_WR) != 0) lost(errno);
  auto deadline = Clock::now() + options_.close_timeout;
  int unsent_before = 0;
  while (!ended_) {
    int unsent = 0;  // not yet received by the other machine: its time to close has not begun
    if (::ioctl(socket_, SIOCOUTQ, &unsent) == 0 && unsent != unsent_before) {
      unsent_before = unsent;
      deadline = Clock::now() + (unsent > 0 ? options_.timeout : options_.close_timeout);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0 && unsent > 0) no_progress();
    if (left.count() <= 0) return false;
    pollfd wanted{socket_, POLLIN, 0};
    ::poll(&wanted, 1, static_cast<int>(std::min<std::chrono::milliseconds>(left, look_again).count()));
    read_answer();
  }
  return true;
}

}  // namespace framecall
