// The cheap client, for servers of more than one kind: one thread, plain sockets, no JSON library. It writes a header for
// each call and looks for two keys of each reply's, as the least that a client has to do.
//   --proto raw        [u32 length][body], for floor_server and asio_server
//   --proto framecall  [i32 header length][JSON header][body]: `upper` for small bodies, `echo` for large ones
// One call in flight: blocking send and recv. More: epoll, one recv and one send for each batch of replies.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "load.hpp"

namespace {

int connect_to(int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address)) load::fail("no connection");
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return descriptor;
}

void send_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) load::fail("cannot send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

struct Wire {
  bool framed;
  std::string method;

  void request(std::string& out, std::uint64_t id, const std::string& body) const {
    char head[160];
    auto length = static_cast<std::uint32_t>(body.size());
    if (framed) {
      length = static_cast<std::uint32_t>(
          std::snprintf(head, sizeof head, R"({"jsonrpc": "2.0", "id": %llu, "method": "%s", "body_size": %zu})",
                        static_cast<unsigned long long>(id), method.c_str(), body.size()));
    }
    out.append(reinterpret_cast<const char*>(&length), 4);
    if (framed) out.append(head, length);
    out += body;
  }
  static std::uint64_t number_after(std::string_view header, std::string_view key) {
    const void* const found = memmem(header.data(), header.size(), key.data(), key.size());
    if (!found) load::fail("a reply without id or body_size");
    return std::strtoull(static_cast<const char*>(found) + key.size(), nullptr, 10);  // a header ends with a brace
  }
  // Bytes of the reply that `in` begins with, 0 if that cannot be told yet; `head`: those before the body.
  std::size_t reply(std::string_view in, std::size_t& head) const {
    std::uint32_t length;
    if (in.size() < 4) return 0;
    std::memcpy(&length, in.data(), 4);
    head = framed ? 4 + length : 4;
    if (!framed) return head + length;
    return in.size() < head ? 0 : head + number_after(in.substr(4, length), "\"body_size\":");
  }
  std::uint64_t id(std::string_view reply, std::size_t head) const {
    return number_after(reply.substr(4, head - 4), "\"id\":");
  }
  std::string answer(const std::string& body) const { return framed && method == "upper" ? load::upper(body) : body; }
};

struct Connection {
  int descriptor;
  std::string in, out;
  std::size_t size = 0;             // bytes of `in` that are filled
  std::vector<std::uint64_t> sent;  // when, in the order of the replies; of the framed wire by id
  std::size_t next = 0;
  std::uint64_t id = 1000;

  bool receive(int flags) {
    const ssize_t got = recv(descriptor, in.data() + size, in.size() - size, flags);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (got <= 0) load::fail("the connection was lost");
    size += static_cast<std::size_t>(got);
    return true;
  }
  std::string_view filled() const { return {in.data(), size}; }
};

std::string_view one_reply(const Wire& wire, Connection& connection, std::size_t& head) {
  std::size_t length;
  while (!(length = wire.reply(connection.filled(), head)) || connection.size < length) connection.receive(0);
  if (connection.size != length) load::fail("more than one reply");
  connection.size = 0;
  return {connection.in.data(), length};
}

void check(const Wire& wire, std::vector<Connection>& connections, std::size_t size, std::uint64_t& calls) {
  for (Connection& connection : connections) {
    for (int i = 0; i < load::checks; ++i) {
      const std::string body = load::body_of(size, ++calls);
      std::string request;
      wire.request(request, calls, body);
      send_all(connection.descriptor, request);
      std::size_t head;
      const std::string_view reply = one_reply(wire, connection, head);
      if (wire.framed && wire.id(reply, head) != calls) load::fail("a reply with a wrong id");
      if (reply.substr(head) != wire.answer(body)) load::fail("a wrong reply");
    }
  }
}

void one_at_a_time(const Wire& wire, Connection& connection, const std::string& body, load::Clock& clock) {
  const std::string wanted = wire.answer(body);
  std::uint64_t id = 1000;
  bool on = true;
  while (on) {
    connection.out.clear();
    const std::uint64_t sent = load::now();
    wire.request(connection.out, ++id, body);
    send_all(connection.descriptor, connection.out);
    std::size_t head;
    const std::string_view reply = one_reply(wire, connection, head);
    on = clock.answered(sent, load::now());
    if (reply.size() - head != wanted.size() || std::memcmp(reply.data() + head, wanted.data(), 32) != 0) {
      load::fail("a wrong reply");
    }
  }
}

void many_in_flight(const Wire& wire, std::vector<Connection>& connections, const std::string& body, int in_flight,
                    load::Clock& clock) {
  constexpr std::size_t ring = 1 << 10;  // calls that a reply may overtake
  const std::string wanted = wire.answer(body);
  const int poll = epoll_create1(0);
  for (Connection& connection : connections) {
    epoll_event event{EPOLLIN, {.ptr = &connection}};
    epoll_ctl(poll, EPOLL_CTL_ADD, connection.descriptor, &event);
    connection.sent.assign(wire.framed ? ring : static_cast<std::size_t>(in_flight), load::now());
    for (int i = 0; i < in_flight; ++i) wire.request(connection.out, ++connection.id, body);
    send_all(connection.descriptor, connection.out);
  }
  epoll_event events[64];
  for (bool on = true; on;) {
    const int count = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
      if (!connection.receive(MSG_DONTWAIT)) continue;
      const std::uint64_t when = load::now();
      std::string_view in = connection.filled();
      connection.out.clear();
      std::size_t head, length;
      while ((length = wire.reply(in, head)) && length <= in.size()) {
        if (in.substr(head, length - head) != wanted) load::fail("a wrong reply");
        std::uint64_t& sent = connection.sent[wire.framed ? wire.id(in, head) % ring : connection.next];
        if (++connection.next >= static_cast<std::size_t>(in_flight)) connection.next = 0;
        on = clock.answered(sent, when) && on;
        wire.request(connection.out, ++connection.id, body);
        (wire.framed ? connection.sent[connection.id % ring] : sent) = when;
        in.remove_prefix(length);
      }
      if (in.size() < connection.size) std::memmove(connection.in.data(), in.data(), in.size());
      connection.size = in.size();
      send_all(connection.descriptor, connection.out);
    }
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  const Wire wire{flags.is("--proto", "framecall"), flags.body > 4096 ? "echo" : "upper"};
  std::vector<Connection> connections(static_cast<std::size_t>(flags.connections));
  for (Connection& connection : connections) {
    connection.descriptor = connect_to(flags.port);
    connection.in.resize(std::max<std::size_t>(1 << 18, flags.body + 4096));
  }
  load::Clock clock(flags);
  check(wire, connections, flags.body, clock.total);
  const std::string body = load::body_of(flags.body, 1);
  clock.start();
  if (flags.connections == 1 && flags.in_flight == 1) {
    one_at_a_time(wire, connections[0], body, clock);
  } else {
    many_in_flight(wire, connections, body, flags.in_flight, clock);
  }
  clock.print();
}
