// The cheap client, which is to cost less than any server that it loads: one thread, plain sockets, no JSON library.
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

constexpr std::uint64_t first_id = 1'000'000'000;  // all ids have ten digits, so all heads one size

struct Wire {
  bool framed;
  std::string message;  // a whole request
  std::size_t id_end = 0;

  Wire(bool is_framed, const std::string& body) : framed(is_framed) { set_body(body); }
  void set_body(const std::string& body) {
    std::string header;
    if (framed) {
      header = R"({"jsonrpc": "2.0", "id": )" + std::to_string(first_id);
      id_end = 4 + header.size();
      header += R"(, "method": ")" + std::string(upper(body) ? "upper" : "echo");
      header += R"(", "body_size": )" + std::to_string(body.size()) + "}";
    }
    const auto length = static_cast<std::uint32_t>(framed ? header.size() : body.size());
    message = std::string(reinterpret_cast<const char*>(&length), 4) + header + body;
  }
  // The message with that id, until the next one.
  std::string_view request(std::uint64_t id) {
    if (framed) {
      for (char* digit = message.data() + id_end; id; id /= 10) *--digit = static_cast<char>('0' + id % 10);
    }
    return message;
  }
  static std::uint64_t number_after(std::string_view header, std::string_view key) {
    const void* found = memmem(header.data(), header.size(), key.data(), key.size());
    if (!found) load::fail("a reply without id or body_size");
    const char* digit = static_cast<const char*>(found) + key.size();
    while (*digit == ' ') ++digit;
    std::uint64_t number = 0;
    while (*digit >= '0' && *digit <= '9') number = number * 10 + static_cast<std::uint64_t>(*digit++ - '0');
    return number;  // a header ends with a brace
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
  static bool upper(const std::string& body) { return body.size() <= 4096; }
  std::string answer(const std::string& body) const { return framed && upper(body) ? load::upper(body) : body; }
};

struct Connection {
  int descriptor;
  std::string in, out;
  std::size_t size = 0;             // bytes of `in` that are filled
  std::vector<std::uint64_t> sent;  // when, in the order of the replies; of the framed wire by id
  std::size_t next = 0;

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

void check(Wire& wire, std::vector<Connection>& connections, std::size_t size, std::uint64_t& calls) {
  for (Connection& connection : connections) {
    for (int i = 0; i < load::checks; ++i) {
      const std::string body = load::body_of(size, ++calls);
      wire.set_body(body);
      send_all(connection.descriptor, wire.request(first_id + calls));
      std::size_t head;
      const std::string_view reply = one_reply(wire, connection, head);
      if (wire.framed && wire.id(reply, head) != first_id + calls) load::fail("a reply with a wrong id");
      if (reply.substr(head) != wire.answer(body)) load::fail("a wrong reply");
    }
  }
}

void one_at_a_time(Wire& wire, Connection& connection, const std::string& body, load::Clock& clock) {
  const std::string wanted = wire.answer(body);
  std::uint64_t id = first_id;
  bool on = true;
  while (on) {
    const std::uint64_t sent = load::now();
    send_all(connection.descriptor, wire.request(++id));
    std::size_t head;
    const std::string_view reply = one_reply(wire, connection, head);
    on = clock.answered(sent, load::now());
    if (reply.size() - head != wanted.size() || std::memcmp(reply.data() + head, wanted.data(), 32) != 0) {
      load::fail("a wrong reply");
    }
  }
}

void many_in_flight(Wire& wire, std::vector<Connection>& connections, const std::string& body, int in_flight,
                    load::Clock& clock) {
  constexpr std::size_t ring = 1 << 16;
  const std::string wanted = wire.answer(body);
  const int poll = epoll_create1(0);
  std::uint64_t id = first_id;
  for (Connection& connection : connections) {
    epoll_event event{EPOLLIN, {.ptr = &connection}};
    epoll_ctl(poll, EPOLL_CTL_ADD, connection.descriptor, &event);
    connection.sent.assign(wire.framed ? ring : static_cast<std::size_t>(in_flight), load::now());
    for (int i = 0; i < in_flight; ++i) connection.out += wire.request(++id);
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
        connection.out += wire.request(++id);
        (wire.framed ? connection.sent[id % ring] : sent) = when;
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
  const std::string body = load::body_of(flags.body, 1);
  Wire wire(flags.is("--proto", "framecall"), body);
  std::vector<Connection> connections(static_cast<std::size_t>(flags.connections));
  for (Connection& connection : connections) {
    connection.descriptor = connect_to(flags.port);
    connection.in.resize(std::max<std::size_t>(1 << 18, flags.body + 4096));
  }
  load::Clock clock(flags);
  check(wire, connections, flags.body, clock.total);
  wire.set_body(body);
  clock.start();
  if (flags.connections == 1 && flags.in_flight == 1) {
    one_at_a_time(wire, connections[0], body, clock);
  } else {
    many_in_flight(wire, connections, body, flags.in_flight, clock);
  }
  clock.print();
}
