#include "udp_service.hpp"

#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "framecall/buffer.hpp"
#include "framecall/digest.hpp"
#include "framecall/error.hpp"
#include "framecall/frame.hpp"
#include "sockets.hpp"

namespace framecall {
namespace {

constexpr int datagrams_per_turn = 64;                  // then the loop's connections have their turn
constexpr std::uint64_t largest_ipv4_datagram = 65507;  // over IPv4: 2^16 - 1, less the headers of IP and UDP

}  // namespace

UdpService::UdpService(EventLoop& loop, int socket, std::optional<std::string> reply)
    : loop_(loop), stream_(loop.io, socket), reply_(std::move(reply)) {}

void UdpService::start() {
  stream_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    if (error) return;
    answer_some();
    loop_.end_turn();
    start();
  });
}

void UdpService::close() {
  asio::error_code ignored;
  stream_.close(ignored);
}

void UdpService::answer_some() {
  for (int i = 0; i < datagrams_per_turn; ++i) {
    Sender sender;
    // 64 KiB: no datagram is larger.
    const ssize_t count = ::recvfrom(stream_.native_handle(), loop_.input.get(), EventLoop::input_size, MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&sender.address), &sender.size);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count < 0) continue;  // mostly ICMP: the receiver of an earlier answer is gone
    answer({loop_.input.get(), static_cast<std::size_t>(count)}, sender);
  }
}

void UdpService::answer(std::string_view datagram, const Sender& sender) {
  std::string_view body;
  if (is_call(datagram, body)) {
    call(body, sender);
    return;
  }
  if (!admits_all()) return;
  if (!reply_) upper_case(datagram.data(), datagram.size(), loop_.input.get());
  send(reply_ ? std::string_view(*reply_) : datagram, {}, sender);
}

// True, with its header in loop_.header, for exactly one whole frame that has a method.
bool UdpService::is_call(std::string_view datagram, std::string_view& body) {
  if (frame_start(datagram, default_dialect(), loop_.state.options.max_header) != FrameStart::yes) return false;
  try {
    Decoder decoder(loop_.state.options.max_header);
    decoder.feed(datagram);
    if (decoder.next_event(loop_.header) != Decoder::Event::header_received) return false;
    if (!loop_.header.has(Key::method)) return false;
    const auto whole = decoder.take_whole_body();
    if (!whole || decoder.offset() != datagram.size()) return false;
    body = *whole;
    return true;
  } catch (const ProtocolError&) {
    return false;
  }
}

void UdpService::call(std::string_view body, const Sender& sender) {
  CallHead head;
  ++loop_.state.calls;
  try {
    head.id = call_id(loop_.header);
    read_call(loop_.header, head);
    if (!admits_all()) throw CallError(ErrorCode::unauthenticated, "the login comes first, and no datagram is one");
    const Method* method = loop_.state.options.router->find(head.method);
    if (method == nullptr) {
      throw CallError(ErrorCode::method_not_found, "method \"" + printable(head.method) + "\" not found");
    }
    if (head.more || method->streams || head.method.starts_with("file.")) {
      throw CallError(ErrorCode::invalid_request, "streams and files do not fit into datagrams");
    }
    check_digest(head.digest, body);
    const std::string peer = peer_name(sender.address);
    Request request(head, body, peer);
    run(*method, head, request, sender);
  } catch (...) {
    fail(head.id, current_failure(), sender);
  }
}

void UdpService::run(const Method& method, const CallHead& head, Request& request, const Sender& sender) {
  if (method.where == Method::Where::loop) {
    const Response response = method.handler(request);
    reply(head.id, response, sender);
    return;
  }
  if (method.where == Method::Where::server) {
    Response response;  // of rpc.cancel: nothing of a datagram is in flight for long
    if (head.method == "rpc.health") {
      response.result = health_text(loop_.draining);
    } else if (head.method == "rpc.stats") {
      response = Response(loop_.state.stats());
    }
    reply(head.id, response, sender);
    return;
  }
  request.keep();
  const Responder later([address = loop_.address, self = weak_from_this(), id = head.id, sender](
                            Response* response, const Failure* failure) {
    std::optional<Response> answer;
    std::optional<Failure> problem;
    if (response != nullptr) answer.emplace(std::move(*response));
    if (failure != nullptr) problem = *failure;
    address->post(Work([self, id, sender, answer = std::move(answer), problem = std::move(problem)] {
      const auto service = self.lock();
      if (!service || !service->stream_.is_open()) return;
      problem ? service->fail(id, *problem, sender) : service->reply(id, *answer, sender);
    }));
  });
  if (method.where == Method::Where::later) {
    method.later(std::move(request), later, nullptr);
    return;
  }
  const auto shared = std::make_shared<Request>(std::move(request));
  asio::post(*loop_.state.pool, [&method, shared, later] {
    try {
      later(method.handler(*shared));
    } catch (...) {
      later.current_exception();
    }
  });
}

void UdpService::reply(std::string_view id, const Response& response, const Sender& sender) {
  if (id.empty()) return;
  loop_.text.clear();
  write_reply(loop_.text, id, response);
  if (send(encode_head(loop_.text), response.body.view(), sender)) return;
  if (errno != EMSGSIZE) return;
  const std::uint64_t size = 4 + loop_.text.size() + response.body.size();
  fail(id,
       {static_cast<std::int64_t>(ErrorCode::resource_exhausted),
        "a reply of " + std::to_string(size) + " bytes does not fit into a datagram",
        limit_data(largest_ipv4_datagram, size)},
       sender);
}

void UdpService::fail(std::string_view id, const Failure& failure, const Sender& sender) {
  ++loop_.state.failed_calls;
  if (id.empty()) return;  // a notification is never answered
  loop_.text.clear();
  write_error(loop_.text, id, failure.code, failure.message, failure.data);
  send(encode_head(loop_.text), {}, sender);
}

// False, and errno, if it could not be sent.
bool UdpService::send(std::string_view head, std::string_view body, const Sender& sender) {
  std::array<iovec, 2> vectors{
      {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}}};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&sender.address);
  message.msg_namelen = sender.size;
  message.msg_iov = vectors.data();
  message.msg_iovlen = 2;
  return ::sendmsg(stream_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

}  // namespace framecall
