#include "udp_service.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "framecall/buffer.hpp"

namespace framecall {
namespace {

constexpr int datagrams_per_turn = 64;  // then the loop's connections have their turn

}  // namespace

UdpService::UdpService(EventLoop& loop, int socket, std::optional<std::string> reply)
    : loop_(loop), stream_(loop.io, socket), reply_(std::move(reply)) {}

void UdpService::start() {
  stream_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    if (error) return;
    answer_some();
    start();
  });
}

void UdpService::close() {
  asio::error_code ignored;
  stream_.close(ignored);
}

void UdpService::answer_some() {
  for (int i = 0; i < datagrams_per_turn; ++i) {
    sockaddr_storage sender{};
    socklen_t size = sizeof sender;
    // 64 KiB: no datagram is larger.
    const ssize_t count = ::recvfrom(stream_.native_handle(), loop_.input.get(), EventLoop::input_size, MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&sender), &size);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count < 0) continue;  // mostly ICMP: the receiver of an earlier answer is gone
    const std::size_t length = static_cast<std::size_t>(count);
    if (!reply_) upper_case(loop_.input.get(), length, loop_.input.get());
    const std::string_view answer = reply_ ? std::string_view(*reply_) : std::string_view(loop_.input.get(), length);
    ::sendto(stream_.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&sender), size);
  }
}

}  // namespace framecall
