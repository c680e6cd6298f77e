// A client in C: C11 and POSIX, nothing but the C library.
//
//     cc -O2 -o client client.c && ./client HOST PORT CASE...
//
// prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage. A frame is a 4-byte little-endian length, so
// many bytes of JSON, and as many raw bytes as the JSON announces. C has no JSON: member() below finds a member of an
// object, and no more is needed. It has no SHA-256 either: SHARED_SIZE and SHARED_FNV1A in the environment (FNV-1a, 64
// bits, hexadecimal) are what the file shared.bin of the server has to have (case get).
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { max_header = 1 << 20, max_body = 64 << 20 };  // what we are willing to read
static const char text[] = "na\u00efve \u4f60\u597d \U0001f680";
static const char escaped[] = "na\\u00efve \\u4f60\\u597d \\ud83d\\ude80";

typedef struct {
  int socket, last_id;
  bool at_end;                  // the stream has ended
  size_t received;              // bytes of the last frame, which may be a part of one
  char header[max_header + 1];  // of the last frame, as a C string
  unsigned char* body;
  size_t body_size;
} connection;

static char problem[1000];  // why the case failed

static bool fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(problem, sizeof(problem), format, arguments);
  va_end(arguments);
  return false;
}

// ---- JSON: text between two pointers

typedef struct {
  const char *begin, *end;  // begin NULL: there is none
} span;

static const char* skip_space(const char* at) { return at + strspn(at, " \t\r\n"); }

// Behind a string that begins at `at`, or NULL.
static const char* skip_string(const char* at) {
  for (++at; *at != '"'; ++at) {
    if (*at == '\\') ++at;
    if (*at == '\0') return NULL;
  }
  return at + 1;
}

// Behind a value, or NULL. A value is not judged, only left behind.
static const char* skip_value(const char* at) {
  int depth = 0;
  do {
    if (*at == '"') {
      at = skip_string(at);
      if (at == NULL) return NULL;
    } else if (*at == '{' || *at == '[') {
      ++depth, ++at;
    } else if (*at == '}' || *at == ']') {
      --depth, ++at;
    } else if (depth > 0 && *at != '\0') {
      ++at;
    } else {
      const size_t size = strcspn(at, ",]} \t\r\n");
      return size > 0 ? at + size : NULL;
    }
  } while (depth > 0);
  return at;
}

// The value of a member of an object, whose key is written without escapes.
static span member(const char* object, const char* key) {
  const span none = {NULL, NULL};
  const char* at = skip_space(object);
  do {
    if (*at != '{' && *at != ',') return none;
    const char* begin = skip_space(at + 1);
    const char* end = *begin == '"' ? skip_string(begin) : NULL;
    if (end == NULL || *(at = skip_space(end)) != ':') return none;
    span value = {skip_space(at + 1), NULL};
    value.end = skip_value(value.begin);
    if (value.end == NULL) return none;
    const size_t size = (size_t)(end - begin) - 2;
    if (size == strlen(key) && memcmp(begin + 1, key, size) == 0) return value;
    at = skip_space(value.end);
  } while (true);
}

static bool is(span value, const char* expected) {
  return value.begin != NULL && (size_t)(value.end - value.begin) == strlen(expected) &&
         memcmp(value.begin, expected, strlen(expected)) == 0;
}

// An integer within limits, or `otherwise` for an absent one.
static bool integer(span value, long long lowest, long long highest, long long otherwise, long long* result) {
  *result = otherwise;
  if (value.begin == NULL) return true;
  char* end;
  errno = 0;
  *result = strtoll(value.begin, &end, 10);
  if (end != value.end || errno != 0 || *result < lowest || *result > highest) {
    return fail("expected an integer %lld to %lld, got %.100s", lowest, highest, value.begin);
  }
  return true;
}

// The four digits of \uxxxx, or -1.
static long hex4(const char* at) {
  char digits[5] = {0};
  if (strspn(at, "0123456789abcdefABCDEF") < 4) return -1;
  return strtol(memcpy(digits, at, 4), NULL, 16);
}

// The character that an escape behind a backslash means, or -1; `at` moves to its last byte.
static long read_escape(const char** at) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char* name = strchr(names, **at);
  if (name != NULL && *name != '\0') return (unsigned char)values[name - names];
  if (**at != 'u') return -1;
  const long code = hex4(*at + 1);
  *at += 4;
  if (code < 0xd800 || code >= 0xdc00) return code;
  const long low = (*at)[1] == '\\' && (*at)[2] == 'u' ? hex4(*at + 3) : -1;
  if (low < 0xdc00 || low > 0xdfff) return -1;  // half of a pair
  *at += 6;
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static char* write_utf8(char* out, long code) {
  if (code < 0x80) {
    *out++ = (char)code;
    return out;
  }
  if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *out++ = (char)(0xe0 | code >> 12);
    } else {
      *out++ = (char)(0xf0 | code >> 18);
      *out++ = (char)(0x80 | (code >> 12 & 63));
    }
    *out++ = (char)(0x80 | (code >> 6 & 63));
  }
  *out++ = (char)(0x80 | (code & 63));
  return out;
}

// A string without quotes and escapes, as UTF-8; false if it is none, or does not fit.
static bool unescape(span value, char* out, size_t room) {
  if (value.begin == NULL || *value.begin != '"') return false;
  const char* end = out + room - 5;  // the longest character, and the NUL
  for (const char* at = value.begin + 1; at < value.end - 1; ++at) {
    if (out > end) return false;
    if (*at != '\\') {
      *out++ = *at;
      continue;
    }
    ++at;
    const long code = read_escape(&at);
    if (code < 0) return false;
    out = write_utf8(out, code);
  }
  *out = '\0';
  return true;
}

// ---- the wire

static bool open_connection(connection* c, const char* host, const char* port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  const struct timeval patience = {.tv_sec = 30};
  struct addrinfo* addresses;
  const int error = getaddrinfo(host, port, &hints, &addresses);
  if (error != 0) return fail("%s port %s: %s", host, port, gai_strerror(error));
  for (struct addrinfo* address = addresses; address != NULL && c->socket < 0; address = address->ai_next) {
    c->socket = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (c->socket < 0) continue;
    setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(c->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(c->socket, address->ai_addr, address->ai_addrlen) == 0) break;
    fail("%s port %s: %s", host, port, strerror(errno));
    close(c->socket);
    c->socket = -1;
  }
  freeaddrinfo(addresses);
  return c->socket >= 0;
}

static bool send_all(connection* c, const void* data, size_t size) {
  for (const char* at = data; size > 0;) {
    const ssize_t count = write(c->socket, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail("write: %s", strerror(errno));
    at += count;
    size -= (size_t)count;
  }
  return true;
}

static bool send_frame(connection* c, const char* header, const void* body, size_t body_size) {
  const size_t length = strlen(header);
  const unsigned char prefix[4] = {length & 255, length >> 8 & 255, length >> 16 & 255, length >> 24 & 255};
  return send_all(c, prefix, 4) && send_all(c, header, length) && send_all(c, body, body_size);
}

static bool receive_all(connection* c, void* data, size_t size) {
  for (char* at = data; size > 0;) {
    const ssize_t count = read(c->socket, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail("read: %s", strerror(errno));
    c->at_end = count == 0;
    if (c->at_end) return fail("the server closed the connection, %zu bytes too early", size);
    at += count;
    size -= (size_t)count;
    c->received += (size_t)count;
  }
  return true;
}

// How many bytes follow the header.
static bool body_size(const char* header, size_t* size) {
  static const char* const call_keys[] = {"method", "result", "error", "item"};
  static const char* const size_keys[] = {"body_size", "file_size", "file_siz", "filesize", "total_size"};
  if (*skip_space(header) != '{') return fail("expected an object, got %.100s", header);
  bool is_call = false;
  for (int i = 0; i < 4; ++i) is_call = is_call || member(header, call_keys[i]).begin != NULL;
  long long found = -1;
  for (int i = is_call ? 0 : 1; i < (is_call ? 1 : 5); ++i) {
    long long one;
    if (!integer(member(header, size_keys[i]), 0, max_body, -1, &one)) return false;
    if (found >= 0 && one >= 0 && one != found) return fail("expected sizes that agree, got %.500s", header);
    if (one >= 0) found = one;
  }
  *size = found >= 0 ? (size_t)found : 0;
  return true;
}

// The next frame, whose header has at most `limit` bytes.
static bool receive_frame(connection* c, size_t limit) {
  unsigned char prefix[4];
  c->received = 0;
  if (!receive_all(c, prefix, 4)) return false;
  const uint32_t length = prefix[0] | (uint32_t)prefix[1] << 8 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 24;
  if (length < 2 || length > limit) return fail("a header of %u bytes", length);
  if (!receive_all(c, c->header, length)) return false;
  c->header[length] = '\0';
  if (!body_size(c->header, &c->body_size)) return false;
  free(c->body);
  c->body = malloc(c->body_size + 1);
  if (c->body == NULL) return fail("no memory for a body of %zu bytes", c->body_size);
  return receive_all(c, c->body, c->body_size);
}

// Sends a request; `members`: what it has beside the usual, such as `, "params": [2, 3]`.
static bool request(connection* c, const char* method, const char* members, const void* body, size_t body_size) {
  char header[1000];
  snprintf(header, sizeof(header), "{\"jsonrpc\": \"2.0\", \"id\": %d, \"method\": \"%s\", \"body_size\": %zu%s}",
           ++c->last_id, method, body_size, members);
  return send_frame(c, header, body, body_size);
}

// The next frame of the reply to the last request; `*error`: its error object, if it has one.
static bool read_reply_or_error(connection* c, span* error) {
  if (!receive_frame(c, max_header)) return false;
  char id[20];
  snprintf(id, sizeof(id), "%d", c->last_id);
  if (!is(member(c->header, "id"), id)) return fail("expected a reply to call %s, got %.500s", id, c->header);
  *error = member(c->header, "error");
  return true;
}

static bool read_reply(connection* c) {
  span error;
  if (!read_reply_or_error(c, &error)) return false;
  return error.begin == NULL || fail("the server says: %.500s", error.begin);
}

static bool call(connection* c, const char* method, const char* members, const void* body, size_t body_size) {
  return request(c, method, members, body, body_size) && read_reply(c);
}

// Bytes that differ everywhere; every client of this folder sends the same ones.
static unsigned char* pattern(size_t size) {
  unsigned char* bytes = malloc(size);
  for (size_t i = 0; bytes != NULL && i < size; ++i) bytes[i] = (unsigned char)(i ^ i >> 8 ^ i >> 16);
  return bytes;
}

// ---- the cases

static bool expect_body(const connection* c, const void* body, size_t size) {
  if (c->body_size == size && memcmp(c->body, body, size) == 0) return true;
  return fail("expected a body of %zu bytes, got another one of %zu bytes", size, c->body_size);
}

static bool upper(connection* c) {
  return call(c, "upper", "", "hello, world", 12) && expect_body(c, "HELLO, WORLD", 12);
}

static bool add(connection* c) {
  const char* params[] = {", \"params\": {\"a\": 2, \"b\": 3}", ", \"params\": [2, 3]"};
  for (int i = 0; i < 2; ++i) {
    if (!call(c, "add", params[i], NULL, 0)) return false;
    if (!is(member(c->header, "result"), "5")) return fail("expected the result 5, got %.500s", c->header);
  }
  return true;
}

static bool unicode(connection* c) {
  const char* spellings[] = {text, escaped};
  for (int i = 0; i < 2; ++i) {
    char members[200], said[200];
    snprintf(members, sizeof(members), ", \"params\": {\"text\": \"%s\"}", spellings[i]);
    if (!call(c, "say", members, NULL, 0)) return false;
    if (!unescape(member(c->header, "result"), said, sizeof(said)) || strcmp(said, text) != 0) {
      return fail("expected the result %s, got %.500s", text, c->header);
    }
  }
  return true;
}

static bool big(connection* c) {
  const size_t size = 5 << 20;
  unsigned char* sent = pattern(size);
  const bool good = sent != NULL && call(c, "echo", "", sent, size) && expect_body(c, sent, size);
  free(sent);
  return good;
}

static bool error(connection* c) {
  span said;
  if (!request(c, "no.such.method", "", NULL, 0) || !read_reply_or_error(c, &said)) return false;
  if (said.begin == NULL || !is(member(said.begin, "code"), "-32601")) {
    return fail("expected error -32601, got %.500s", c->header);
  }
  return upper(c);  // the connection goes on
}

static bool stream(connection* c) {
  if (!request(c, "count", ", \"params\": {\"n\": 5}, \"stream\": true", NULL, 0)) return false;
  int parts = 0;
  for (bool more = true; more;) {
    if (!read_reply(c)) return false;
    more = is(member(c->header, "more"), "true");
    const span value = member(c->header, "result");
    if (!more && is(value, "null") && c->body_size == 0) break;  // the end alone is no part
    char number[20];
    snprintf(number, sizeof(number), "%d", parts++);
    if (!is(value, number)) return fail("expected part %s, got %.500s", number, c->header);
  }
  return parts == 5 || fail("expected 5 parts, got %d", parts);
}

static bool upload(connection* c) {
  const size_t size = 100000;
  unsigned char* body = pattern(size);
  const bool sent =
      body != NULL && send_frame(c, "{\"file_name\": \"upload-c.bin\", \"file_size\": 100000}", body, size);
  free(body);
  if (!sent) return false;
  if (shutdown(c->socket, SHUT_WR) != 0) return fail("shutdown: %s", strerror(errno));
  char byte;
  const ssize_t count = recv(c->socket, &byte, 1, MSG_PEEK);  // success is silent, a refusal is an error frame
  if (count == 0) return true;
  if (count < 0) return fail("recv: %s", strerror(errno));
  return receive_frame(c, max_header) && fail("expected silence, got %.500s", c->header);
}

static bool get(connection* c) {
  if (!call(c, "file.get", ", \"params\": {\"name\": \"shared.bin\"}", NULL, 0)) return false;
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < c->body_size; ++i) sum = (sum ^ c->body[i]) * 0x100000001b3u;
  char got[100], wanted[100];
  const char *size = getenv("SHARED_SIZE"), *hash = getenv("SHARED_FNV1A");
  snprintf(got, sizeof(got), "%zu bytes, FNV-1a %016llx", c->body_size, (unsigned long long)sum);
  snprintf(wanted, sizeof(wanted), "%s bytes, FNV-1a %s", size ? size : "?", hash ? hash : "?");
  return strcmp(got, wanted) == 0 || fail("expected %s, got %s", wanted, got);
}

static const struct {
  const char* name;
  bool (*run)(connection*);
} cases[] = {{"upper", upper}, {"add", add},       {"unicode", unicode}, {"big", big},
             {"error", error}, {"stream", stream}, {"upload", upload},   {"get", get}};
enum { case_count = sizeof(cases) / sizeof(cases[0]) };

static int index_of(const char* name) {
  int i = 0;
  while (i < case_count && strcmp(cases[i].name, name) != 0) ++i;
  return i;
}

static bool run(const char* host, const char* port, int index) {
  connection* c = calloc(1, sizeof(*c));
  if (c == NULL) return fail("no memory");
  c->socket = -1;
  const bool good = open_connection(c, host, port) && cases[index].run(c);
  if (c->socket >= 0) close(c->socket);
  free(c->body);
  free(c);
  return good;
}

int main(int argument_count, char** arguments) {
  bool usable = argument_count > 3;
  for (int i = 3; i < argument_count; ++i) usable = usable && index_of(arguments[i]) < case_count;
  if (!usable) {
    fprintf(stderr, "usage: client HOST PORT CASE...\ncases:");
    for (int i = 0; i < case_count; ++i) fprintf(stderr, " %s", cases[i].name);
    fprintf(stderr, "\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);  // a server that closes is an error of the case
  bool failed = false;
  for (int i = 3; i < argument_count; ++i) {
    snprintf(problem, sizeof(problem), "no memory");
    if (run(arguments[1], arguments[2], index_of(arguments[i]))) {
      printf("%s ok\n", arguments[i]);
    } else {
      printf("%s failed: %s\n", arguments[i], problem);
      failed = true;
    }
  }
  return failed ? 1 : 0;
}
