/* The floor: one thread, epoll, one recv and one send for each batch of frames, no library.
 *   raw        [u32 length][bytes]; whole frames go back unchanged
 *   framecall  [i32 header length][JSON header][body]; the header is skimmed for three keys, and not validated
 * With "blocking" as the second argument: a thread for each connection, which sleeps in recv.
 * Whole frames are kept until they are answered, as every RPC library does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
  char* bytes;
  size_t size, capacity, sent;
};
struct connection {
  int descriptor, full;
  struct buffer in, out;
};

static int framed;

static void reserve(struct buffer* buffer, size_t size) {
  size_t capacity = buffer->capacity ? buffer->capacity : 4096;
  if (buffer->capacity >= size) return;
  while (capacity < size) capacity *= 2;
  buffer->bytes = realloc(buffer->bytes, capacity);
  buffer->capacity = capacity;
}
static void append(struct buffer* buffer, const void* bytes, size_t size) {
  reserve(buffer, buffer->size + size);
  memcpy(buffer->bytes + buffer->size, bytes, size);
  buffer->size += size;
}
static void keep_from(struct buffer* buffer, size_t at) {
  if (at) memmove(buffer->bytes, buffer->bytes + at, buffer->size - at);
  buffer->size -= at;
}

/* Behind the key and the spaces after it; the end of the header if there is no such key. */
static const char* value_of(const char* header, size_t size, const char* key) {
  const char *end = header + size, *found = memmem(header, size, key, strlen(key));
  if (!found) return end;
  for (found += strlen(key); found < end && *found == ' ';) ++found;
  return found;
}
static const char* digits_end(const char* at, const char* end) {
  while (at < end && *at >= '0' && *at <= '9') ++at;
  return at;
}

/* Bytes of the frame at the begin, 0 if more is needed to tell. */
static size_t frame_size(const char* bytes, size_t size) {
  uint32_t length;
  size_t body = 0;
  if (size < 4) return 0;
  memcpy(&length, bytes, 4);
  if (!framed) return 4 + (size_t)length;
  if (size < 4 + (size_t)length) return 0;
  const char *end = bytes + 4 + length, *digit = value_of(bytes + 4, length, "\"body_size\":");
  for (; digit < end && *digit >= '0' && *digit <= '9'; ++digit) body = body * 10 + (size_t)(*digit - '0');
  return 4 + (size_t)length + body;
}

static void answer(struct buffer* out, const char* frame, size_t size) {
  uint32_t length;
  memcpy(&length, frame, 4);
  const char *header = frame + 4, *body = header + length;
  const char *id = value_of(header, length, "\"id\":"), *method = value_of(header, length, "\"method\": \"");
  const size_t body_size = size - 4 - length;
  static const char before[] = "{\"jsonrpc\": \"2.0\", \"id\": ", after[] = ", \"result\": null, \"body_size\": ";
  char digits[24], *first = digits + sizeof digits;
  size_t rest = body_size;
  *--first = '}';
  do *--first = (char)('0' + rest % 10);
  while (rest /= 10);
  const size_t id_size = (size_t)(digits_end(id, body) - id), last_size = (size_t)(digits + sizeof digits - first);
  const uint32_t head = (uint32_t)(sizeof before - 1 + id_size + sizeof after - 1 + last_size);
  append(out, &head, 4);
  append(out, before, sizeof before - 1);
  append(out, id, id_size);
  append(out, after, sizeof after - 1);
  append(out, first, last_size);
  append(out, body, body_size);
  if (method < body && *method == 'u')
    for (char* c = out->bytes + out->size - body_size; c < out->bytes + out->size; ++c)
      if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
}

/* Answers every whole frame. The raw echo of nothing but whole frames swaps the buffers instead of copying. */
static void answer_all(struct buffer* in, struct buffer* out) {
  size_t at = 0, size;
  while ((size = frame_size(in->bytes + at, in->size - at)) && size <= in->size - at) {
    if (framed) answer(out, in->bytes + at, size);
    at += size;
  }
  if (!framed && at == in->size && out->size == 0) {
    const struct buffer swapped = *out;
    *out = *in;
    *in = swapped;
    in->size = 0;
  } else {
    if (!framed && at) append(out, in->bytes, at);
    keep_from(in, at);
  }
  if (in->size && (size = frame_size(in->bytes, in->size)) > in->capacity) reserve(in, size);
}

/* 1: all of it is out; 0: the socket is full; -1: the connection is gone. */
static int send_out(struct connection* connection) {
  struct buffer* out = &connection->out;
  while (out->sent < out->size) {
    const ssize_t sent = send(connection->descriptor, out->bytes + out->sent, out->size - out->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    out->sent += (size_t)sent;
  }
  out->size = out->sent = 0;
  return 1;
}

/* 1: something came, or nothing yet; -1: the connection is gone. */
static int receive(struct connection* connection) {
  struct buffer* in = &connection->in;
  reserve(in, 65536);
  const ssize_t got = recv(connection->descriptor, in->bytes + in->size, in->capacity - in->size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
  if (got <= 0) return -1;
  in->size += (size_t)got;
  answer_all(in, &connection->out);
  return 1;
}

static void drop(struct connection* connection) {
  close(connection->descriptor);
  free(connection->in.bytes);
  free(connection->out.bytes);
  free(connection);
}

static void* serve_blocking(void* argument) {
  struct connection* connection = argument;
  while (receive(connection) > 0 && send_out(connection) > 0) {
  }
  drop(connection);
  return NULL;
}

static void take(int listener, int epoll, int blocking) {
  const int on = 1, descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK));
  if (descriptor < 0) return;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct connection* connection = calloc(1, sizeof *connection);
  connection->descriptor = descriptor;
  if (blocking) {
    pthread_t thread;
    pthread_create(&thread, NULL, serve_blocking, connection);
    pthread_detach(thread);
  } else {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
  }
}

int main(int argument_count, char** arguments) {
  const int blocking = argument_count > 2 && !strcmp(arguments[2], "blocking");
  framed = argument_count > 1 && !strcmp(arguments[1], "framecall");
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 4096)) {
    perror("listen");
    return 1;
  }
  struct epoll_event event = {.events = EPOLLIN}, events[64];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    const int count = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      struct connection* connection = events[i].data.ptr;
      if (!connection) {
        take(listener, epoll, blocking);
        continue;
      }
      const int alive = connection->full ? 1 : receive(connection), out = alive < 0 ? -1 : send_out(connection);
      if (out < 0) {
        drop(connection);
      } else if ((out == 0) != connection->full) {
        connection->full = out == 0;
        event.events = connection->full ? EPOLLOUT : EPOLLIN;
        event.data.ptr = connection;
        epoll_ctl(epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
      }
    }
  }
}
