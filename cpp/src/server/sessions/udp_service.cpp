#include "server/sessions/udp_service.hpp"

#include <netinet/in.h>
#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/frame.hpp"
#include "net/sockets.hpp"
#include "server/methods/dispatch.hpp"

namespace framecall {
namespace {

constexpr int datagrams_per_turn = 64;         // then the loop's connections have their turn
constexpr std::size_t largest_answer = 65507;  // over IPv4: 2^16 - 1, less the headers of IP and UDP
constexpr std::int64_t log_interval = 10'000;  // ms between two lines about dropped datagrams
constexpr std::uint64_t fixed_replies_at_once =
    16;  // to one address and port; two servers with fixed replies that answer
constexpr std::uint64_t fixed_replies_a_second = 2;  // each other are faster, and stop; somebody who asks is not

// Whoever can send from many addresses of a network can do so from all of an IPv6 network of 64 bits.
std::uint64_t network_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr;
  const in6_addr& host = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&host)) {
    std::uint32_t ipv4 = 0;
    std::memcpy(&ipv4, host.s6_addr + 12, sizeof ipv4);
    return ipv4;
  }
  std::uint64_t network = 0;
  std::memcpy(&network, host.s6_addr, sizeof network);
  return network;
}

std::uint64_t port_of(const sockaddr_storage& address) {
  return address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                      : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
}

Failure too_large(std::size_t size, std::size_t max_reply) {
  const std::string limit = max_reply == largest_answer
                                ? "a reply of " + std::to_string(size) + " bytes does not fit into a datagram"
                                : "the reply has " + std::to_string(size) + " bytes, max_udp_ratio allows " +
                                      std::to_string(max_reply) +
                                      " for this request: pad the request with blanks, or call over TCP";
  return {static_cast<std::int64_t>(ErrorCode::resource_exhausted), limit, limit_data(max_reply, size)};
}

// The head of the reply; the failure instead, if it is larger than `max_reply`. Looks before it copies: a result may have any size.
std::optional<Failure> write_reply_head(std::string& head, std::string_view id, const Response& response,
                                        std::size_t max_reply) {
  head.assign(4, '\0');
  std::size_t size = head.size() + response.result.size() + response.metadata.size() + response.body.size();
  if (size <= max_reply) {
    write_reply(head, id, response);
    size = head.size() + response.body.size();
  }
  if (size > max_reply) return too_large(size, max_reply);
  fill_prefix(head);
  return std::nullopt;
}

// Why an answer is not sent, if it is not JSON.
std::optional<Failure> problem_of(const Method& method, const Response& response) {
  if (method.writes_json) return std::nullopt;
  try {
    check_answer(method, response);
    return std::nullopt;
  } catch (const CallError&) {
    return current_failure();
  }
}

// Writes the error reply. One that would be larger than `max_reply` goes without its data, then with less of its message; `out` is
// empty if the code alone is too large.
void write_failure(std::string& out, std::string_view id, const Failure& failure, std::size_t max_reply) {
  out.assign(4, '\0');
  bool fits = failure.message.size() + failure.data.size() <= max_reply;
  if (fits) {
    write_error(out, id, failure.code, failure.message, failure.data);
    fits = out.size() <= max_reply;
  }
  for (std::size_t size = std::min(failure.message.size(), max_reply); !fits; size = size * 3 / 4) {
    out.assign(4, '\0');
    out.append("{\"jsonrpc\": \"2.0\", \"id\": ").append(id).append(", \"error\": {\"code\": ");
    out.append(std::to_string(failure.code)).append(", \"message\": ");
    write_string(out, size > 0 ? message_text(failure.message, size) : std::string());
    out += "}}";
    fits = out.size() <= max_reply;
    if (size == 0) break;
  }
  fits ? fill_prefix(out) : out.clear();
}

bool has_lower_case(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string in_upper_case(std::string_view text) {
  std::string upper(text.size(), '\0');
  upper_case(text.data(), text.size(), upper.data());
  return upper;
}

}  // namespace

UdpService::UdpService(EventLoop& loop, int socket, std::optional<std::string> reply)
    : loop_(loop),
      stream_(loop.io, socket),
      reply_(std::move(reply)),
      sources_(loop.state.options.max_udp_rate, loop.state.options.max_udp_rate),
      fixed_replies_(reply_ ? fixed_replies_a_second : 0, fixed_replies_at_once) {}

void UdpService::start() {
  if (waiting_ || !stream_.is_open()) return;
  stream_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    waiting_ = false;
    if (error == asio::error::operation_aborted) return;
    loop_.guarded([this] { answer_some(); });
    start();
    loop_.end_turn();
  });
  waiting_ = true;
}

void UdpService::close() {
  asio::error_code ignored;
  stream_.close(ignored);
}

void UdpService::answer_some() {
  loop_.refresh_clock();
  for (int i = 0; i < datagrams_per_turn; ++i) {
    Sender sender;
    // 64 KiB: no datagram is larger.
    const ssize_t count = ::recvfrom(stream_.native_handle(), loop_.input.get(), EventLoop::input_size, MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&sender.address), &sender.size);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count < 0) continue;  // mostly ICMP: the receiver of an earlier answer is gone
    loop_.guarded([&] { answer({loop_.input.get(), static_cast<std::size_t>(count)}, sender); },
                  [this](const char* why) {
                    if (drop()) log_dropped(why);
                  });
  }
}

void UdpService::answer(std::string_view datagram, const Sender& sender) {
  if (!sources_.take(network_of(sender.address), loop_.now)) {
    if (!drop()) return;
    log_dropped(peer_name(sender.address) + " sends more than max_udp_rate (" +
                std::to_string(loop_.state.options.max_udp_rate) + " a second from one address)");
    return;
  }
  std::string_view body;
  switch (kind_of(datagram, body)) {
    case Kind::call: call(datagram, body, sender); break;
    case Kind::reply: break;  // we might have sent it ourselves
    case Kind::text: answer_text(datagram, sender); break;
  }
}

void UdpService::answer_text(std::string_view datagram, const Sender& sender) {
  const std::string_view text = reply_ ? std::string_view(*reply_) : datagram;
  const std::size_t max_reply = max_reply_to(datagram);
  if (!admits_all() || is_own(datagram)) return;
  if (text.size() > max_reply) {
    if (!drop()) return;
    log_dropped("the reply to " + peer_name(sender.address) + " has " + std::to_string(text.size()) +
                " bytes, max_udp_ratio (" + std::to_string(loop_.state.options.max_udp_ratio) + ") allows " +
                std::to_string(max_reply));
    return;
  }
  if (!reply_) {
    upper_case(datagram.data(), datagram.size(), loop_.input.get());
  } else if (!fixed_replies_.take(network_of(sender.address) ^ port_of(sender.address) << 48, loop_.now)) {
    if (!drop()) return;
    log_dropped(peer_name(sender.address) + " sends faster than the fixed reply is sent to one port (" +
                std::to_string(fixed_replies_a_second) + " a second)");
    return;
  }
  send(text, {}, sender);
}

// Whether it may be what a service of this kind has answered, with the same fixed reply or with none: two of them would answer
// each other for ever.
bool UdpService::is_own(std::string_view datagram) const {
  return reply_ ? in_upper_case(datagram) == in_upper_case(*reply_) : !has_lower_case(datagram);
}

std::size_t UdpService::max_reply_to(std::string_view datagram) const {
  const std::size_t ratio = loop_.state.options.max_udp_ratio;
  return ratio > 0 ? std::min(largest_answer, ratio * datagram.size()) : largest_answer;
}

// A call, with its header in loop_.header, is exactly one whole frame that has a method; a reply one that has a result or an error.
UdpService::Kind UdpService::kind_of(std::string_view datagram, std::string_view& body) {
  if (frame_start(datagram, default_dialect(), loop_.state.options.max_header) != FrameStart::yes) return Kind::text;
  try {
    Decoder decoder(loop_.state.options.max_header);
    decoder.feed(datagram);
    if (decoder.next_event(loop_.header) != Decoder::Event::header_received) return Kind::text;
    const auto whole = decoder.take_whole_body();
    if (!whole || decoder.offset() != datagram.size()) return Kind::text;
    body = *whole;
    if (loop_.header.has(Key::method)) return Kind::call;
    return loop_.header.has(Key::result) || loop_.header.has(Key::error) ? Kind::reply : Kind::text;
  } catch (const ProtocolError&) {
    return Kind::text;
  }
}

void UdpService::call(std::string_view datagram, std::string_view body, const Sender& sender) {
  Asker asker{sender, {}, max_reply_to(datagram)};
  CallHead head;
  ++loop_.state.calls;
  try {
    asker.id = "null";  // until the id is known
    asker.id = head.id = call_id(loop_.header);
    read_call(loop_.header, head);
    if (!admits_all()) throw CallError(ErrorCode::unauthenticated, "the login comes first, and no datagram is one");
    const Method& method = find_method(*loop_.state.options.router, head);
    check_datagram(method, head);
    check_digest(head.digest, body);
    const std::string peer = peer_name(sender.address);
    Request request(head, body, peer);
    run(method, request, asker, datagram.size());
  } catch (...) {
    fail(asker, current_failure());
  }
}

void UdpService::run(const Method& method, Request& request, const Asker& asker, std::size_t size) {
  if (method.where != Method::Where::loop) {
    run_elsewhere(method, request, asker, take_place(size));
    return;
  }
  const Response response = answer_on_loop(method, {loop_.state, loop_.draining, nullptr}, request);
  if (asker.id.empty()) return;
  if (const auto problem = problem_of(method, response)) {
    log(asker, problem->message);
    fail(asker, *problem);
  } else {
    reply(asker, response);
  }
}

// For one call whose datagram has `size` bytes; given back when the last pointer goes. Throws CallError(resource_exhausted).
std::shared_ptr<void> UdpService::take_place(std::size_t size) {
  const ServerOptions& options = loop_.state.options;
  const std::size_t calls = ++in_flight_->calls;
  const std::uint64_t bytes = in_flight_->bytes += size;
  std::shared_ptr<void> place(nullptr, [size, in_flight = in_flight_](void*) {
    --in_flight->calls;
    in_flight->bytes -= size;
  });
  const auto refuse = [](const char* limit_name, std::uint64_t limit, std::uint64_t got, const char* what) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::string(limit_name) + " is " + std::to_string(limit) + ": " + std::to_string(got) + what,
                    limit_data(limit, got));
  };
  if (calls > options.max_udp_calls) refuse("max_udp_calls", options.max_udp_calls, calls, " calls by datagram wait");
  if (bytes > options.max_udp_bytes) refuse("max_udp_bytes", options.max_udp_bytes, bytes, " bytes of calls wait");
  return place;
}

void UdpService::run_elsewhere(const Method& method, Request& request, const Asker& asker,
                               std::shared_ptr<void> place) {
  request.keep();
  // The answer is written where it is given, so that no more than a datagram of it waits for the loop.
  const Responder later([mailbox = loop_.mailbox, self = weak_from_this(), asker, place = std::move(place),
                         method = std::shared_ptr<const Method>(loop_.state.options.router, &method)](
                            const Response* response, const Failure* failure) {
    try {
      std::string datagram;
      std::optional<Failure> problem;
      if (failure != nullptr) problem = *failure;
      if (!problem) problem = problem_of(*method, *response);
      const std::string to_log = problem && failure == nullptr ? problem->message : std::string();
      if (!problem) problem = write_reply_head(datagram, asker.id, *response, asker.max_reply);
      if (problem) {
        write_failure(datagram, asker.id, *problem, asker.max_reply);
      } else {
        datagram.append(response->body.view());
      }
      mailbox->post(Task([self, place, asker, failed = problem.has_value(), datagram = std::move(datagram), to_log] {
        const auto service = self.lock();
        if (!service || !service->stream_.is_open()) return;
        if (!to_log.empty()) service->log(asker, to_log);
        if (failed) ++service->loop_.state.failed_calls;
        service->send(asker.id.empty() ? std::string_view() : datagram, {}, asker.sender);
      }));
    } catch (...) {  // no memory: this call gets no answer, as if its datagram were lost
    }
  });
  try {
    // Each datagram counts as a connection, so it takes its turn with others of its address.
    const std::string network = peer_network(request.peer());
    const auto origin = [&] { return WorkOrigin{loop_.state.next_connection++, network, true}; };
    start_handler(loop_.state, method, std::move(request), later, nullptr, origin, FairQueue::OnClose::drop);
  } catch (...) {
    later.current_exception();
  }
}

void UdpService::reply(const Asker& asker, const Response& response) {
  if (asker.id.empty()) return;
  if (const auto failure = write_reply_head(loop_.text, asker.id, response, asker.max_reply)) {
    fail(asker, *failure);
  } else {
    send(loop_.text, response.body.view(), asker.sender);
  }
}

void UdpService::fail(const Asker& asker, const Failure& failure) {
  ++loop_.state.failed_calls;
  if (asker.id.empty()) return;
  write_failure(loop_.text, asker.id, failure, asker.max_reply);
  send(loop_.text, {}, asker.sender);
}

void UdpService::send(std::string_view head, std::string_view body, const Sender& sender) {
  if (head.empty() && body.empty()) return;
  std::array<iovec, 2> vectors{
      {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}}};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&sender.address);
  message.msg_namelen = sender.size;
  message.msg_iov = vectors.data();
  message.msg_iovlen = 2;
  ::sendmsg(stream_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Counts a datagram that gets no answer. True if a line about it is due: one for each would fill the log.
bool UdpService::drop() {
  ++dropped_;
  return loop_.now >= next_log_;
}

void UdpService::log(const Asker& asker, const std::string& problem) {
  loop_.state.log(LogLevel::error, "udp: " + peer_name(asker.sender.address) + ": " + problem);
}

void UdpService::log_dropped(const std::string& reason) {
  next_log_ = loop_.now + log_interval;
  loop_.state.log(LogLevel::warning, "udp: no answer to " + std::to_string(std::exchange(dropped_, 0)) +
                                         " datagrams since the last line like this; the last one: " + reason);
}

}  // namespace framecall
