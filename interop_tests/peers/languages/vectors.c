// Does client.c read and write frames as vectors.json says?
//
//     cc -O2 -o vectors vectors.c && ./vectors FILE
//
// prints what agrees, and what is outside; exit code 1 if anything else differs. The client has no JSON library, and so this
// has none: how many messages there are, their bodies and the end are compared, headers are not. A refusal is a refusal,
// whatever its code. What is written is the text of a header as it stands.
#define main client_main
#include "client.c"
#undef main

// Cases that a finder of members gets wrong, by the beginning of `decode NAME.` or by the end. They alone may disagree, and
// are printed.
static struct {
  const char *reason, *parts[7];
  char names[10000];
  int count;
} outside[] = {
    {.reason = "what is no JSON is not noticed", .parts = {"{\"error\": -32700}"}},
    {.reason = "the first of duplicates counts", .parts = {"decode duplicate size: "}},
    {.reason = "headers above 1 MiB", .parts = {"decode larger limit.", "decode largest limit: "}},
    {.reason = "bodies above 64 MiB", .parts = {"decode largest file_size", "decode largest body_size"}},
    {.reason = "json.dumps spells it anew",
     .parts = {"encode request.", "encode upload with the published typo.", "encode nested and empty containers.",
               "encode escapes.", "encode integers.", "encode floats."}},
};
enum { outside_count = sizeof(outside) / sizeof(outside[0]) };

typedef struct {
  char* data;  // with a NUL behind it
  size_t size;
} bytes;

static void* checked(const void* pointer) {
  if (pointer != NULL) return (void*)pointer;
  fprintf(stderr, "no memory, or no such file, or other JSON than expected\n");
  exit(2);
}

// ---- reading vectors.json

// The item of an array that begins at `at` or behind it; none at the end of the array.
static span next_item(const char* at) {
  span item = {skip_space(at), NULL};
  if (*item.begin == '[' || *item.begin == ',') item.begin = skip_space(item.begin + 1);
  if (*item.begin == ']') item.begin = NULL;
  if (item.begin != NULL) item.end = checked(skip_value(item.begin));
  return item;
}

// A text, or a list of texts and [text, count], as one text.
static bytes text_of(span value) {
  const size_t room = (size_t)(value.end - value.begin) + 5;
  bytes all = {checked(calloc(room, 1)), 0};
  if (*value.begin == '"') {
    if (!unescape(value, all.data, room)) checked(NULL);
    all.size = strlen(all.data);
    return all;
  }
  for (span item, at = {value.begin, value.begin}; (item = next_item(at.end)).begin != NULL; at = item) {
    if (*item.begin == '[' || *item.begin == '"') {
      bytes piece = text_of(item);
      all.data = checked(realloc(all.data, all.size + piece.size + 1));
      memcpy(all.data + all.size, piece.data, piece.size + 1);
      all.size += piece.size;
      free(piece.data);
    } else {  // the count of a pair
      const size_t count = strtoul(item.begin, NULL, 10), size = all.size;
      all.data = checked(realloc(all.data, size * count + 1));
      for (all.size = size; all.size < size * count; all.size += size) memcpy(all.data + all.size, all.data, size);
      all.data[all.size] = '\0';
    }
  }
  return all;
}

static bytes text_member(const char* object, const char* key) {
  const span value = member(object, key);
  checked(value.begin);
  return text_of(value);
}

static bytes bytes_member(const char* object, const char* key) {
  bytes hex = text_member(object, key);
  for (size_t i = 0; i < hex.size / 2; ++i) {
    const char digits[3] = {hex.data[2 * i], hex.data[2 * i + 1], '\0'};
    hex.data[i] = (char)strtol(digits, NULL, 16);
  }
  hex.size /= 2;
  return hex;
}

// ---- the cases; the connection is a file without a name

// What was read of `case_` is what it says.
static bool check_decode(connection* c, const char* case_) {
  const bytes data = bytes_member(case_, "hex");
  bool good = send_all(c, data.data, data.size) && lseek(c->socket, 0, SEEK_SET) == 0;
  free(data.data);
  long long limit = 0;
  good = good && integer(member(case_, "max_header"), 0, 1 << 24, max_header, &limit);
  if (limit > max_header) limit = max_header;
  span messages = member(case_, "messages");
  messages.end = messages.begin;
  while (good && receive_frame(c, (size_t)limit)) {
    messages = next_item(messages.end);
    if (messages.begin == NULL) return false;  // more of them than there are
    const bytes body = bytes_member(messages.begin, "body");
    good = expect_body(c, body.data, body.size);
    free(body.data);
  }
  const span end = member(case_, "end");
  if (!good || next_item(messages.end).begin != NULL) return false;
  if (!c->at_end) return strstr(end.begin, "{\"error\": -") == end.begin;
  if (is(end, "\"need_data\"")) return true;  // this reader learns of a need when the stream ends
  return is(end, c->received == 0 ? "\"closed\"" : "{\"error\": \"truncated\"}");
}

static bool check_encode(connection* c, const char* case_) {
  const bytes header = text_member(case_, "header_text"), body = bytes_member(case_, "body");
  const bytes wanted = bytes_member(case_, "hex");
  char* written = checked(malloc(wanted.size));
  const bool good = send_frame(c, header.data, body.data, body.size) &&
                    lseek(c->socket, 0, SEEK_CUR) == (off_t)wanted.size && lseek(c->socket, 0, SEEK_SET) == 0 &&
                    receive_all(c, written, wanted.size) && memcmp(written, wanted.data, wanted.size) == 0;
  free(header.data), free(body.data), free(wanted.data), free(written);
  return good;
}

// Whether a case that disagrees may do so; it is noted then.
static bool is_outside(const char* kind, const char* name, span end) {
  char subject[200];
  snprintf(subject, sizeof(subject), "%s %s.", kind, name);
  for (int i = 0; i < outside_count; ++i) {
    for (const char* const* part = outside[i].parts; *part != NULL; ++part) {
      if (strncmp(subject, *part, strlen(*part)) != 0 && !is(end, *part)) continue;
      const size_t size = strlen(outside[i].names);
      snprintf(outside[i].names + size, sizeof(outside[i].names) - size, "%s\"%s\"", size > 0 ? ", " : "", name);
      return ++outside[i].count > 0;
    }
  }
  return false;
}

static int check_all(const char* file, const char* key, bool (*check)(connection*, const char*), bool* failed) {
  int agreed = 0;
  const span cases = member(file, key);
  for (span item, at = {cases.begin, checked(cases.begin)}; (item = next_item(at.end)).begin != NULL; at = item) {
    const bytes name = text_member(item.begin, "name");
    connection* c = checked(calloc(1, sizeof(*c)));
    FILE* stream = checked(tmpfile());
    c->socket = fileno(stream);
    if (check(c, item.begin)) {
      ++agreed;
    } else if (!is_outside(key, name.data, member(item.begin, "end"))) {
      *failed = true;
      printf("%s %s: differs\n", key, name.data);
    }
    fclose(stream);
    free(c->body), free(c), free(name.data);
  }
  return agreed;
}

int main(int argument_count, char** arguments) {
  (void)client_main;
  if (argument_count != 2) {
    fprintf(stderr, "usage: vectors FILE\n");
    return 2;
  }
  FILE* stream = checked(fopen(arguments[1], "rb"));
  char* file = checked(calloc(16 << 20, 1));
  if (fread(file, 1, (16 << 20) - 1, stream) == 0) checked(NULL);
  fclose(stream);
  bool failed = false;
  const int decoded = check_all(file, "decode", check_decode, &failed);
  const int encoded = check_all(file, "encode", check_encode, &failed);
  free(file);
  int count = 0;
  for (int i = 0; i < outside_count; ++i) count += outside[i].count;
  printf("vectors: %d decode, %d encode agree; %d outside: ", decoded, encoded, count);
  const char* separator = "";
  for (int i = 0; i < outside_count; ++i) {
    if (outside[i].count > 0) printf("%s%s (%s)", separator, outside[i].reason, outside[i].names), separator = "; ";
  }
  printf("\n");
  return failed ? 1 : 0;
}
