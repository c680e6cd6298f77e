/* The floor of a receiver: stores what comes over each connection in FILE, and closes.
 *   receive_file recv FILE      1 MiB recv(), write(): one copy into user space and one out of it
 *   receive_file splice FILE    socket -> pipe -> file, no copy to user space
 *   receive_file frame FILE     as recv, for one framed upload: as many bytes as its header says
 *   receive_file recv -         stores nothing, prints how many bytes came
 * Listens on a free port of 127.0.0.1 until it is ended by a signal. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void die(const char* what) {
  perror(what);
  exit(1);
}

/* The size of the body that follows the head of a frame. Looks for the key, validates nothing. */
static uint64_t read_head(int peer) {
  static char header[1 << 16];
  unsigned char prefix[4];
  if (recv(peer, prefix, 4, MSG_WAITALL) != 4) die("prefix");
  size_t length = prefix[0] | (size_t)prefix[1] << 8 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 24;
  if (length >= sizeof header || recv(peer, header, length, MSG_WAITALL) != (ssize_t)length) die("header");
  header[length] = 0;
  const char* size = strstr(header, "\"file_size\": ");
  errno = EBADMSG;
  if (!size) die("file_size");
  return strtoull(size + strlen("\"file_size\": "), NULL, 10);
}

/* How many bytes came. A file of -1: they are dropped. */
static uint64_t store_by_recv(int peer, int file, uint64_t most) {
  static char* buffer;
  uint64_t left = most;
  if (!buffer && !(buffer = aligned_alloc(4096, MIB))) die("memory");
  while (left) {
    ssize_t got = recv(peer, buffer, left < MIB ? (size_t)left : MIB, 0);
    if (got < 0) die("recv");
    if (got == 0) break;
    left -= (uint64_t)got;
    for (ssize_t at = 0, n; file >= 0 && at < got; at += n)
      if ((n = write(file, buffer + at, (size_t)(got - at))) <= 0) die("write");
  }
  return most - left;
}

static void store_by_splice(int peer, int file) {
  int ends[2];
  if (pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, MIB) < 0) die("pipe");
  for (;;) {
    ssize_t in_pipe = splice(peer, NULL, ends[1], NULL, MIB, SPLICE_F_MOVE);
    if (in_pipe < 0) die("splice from the socket");
    if (in_pipe == 0) break;
    for (ssize_t n; in_pipe > 0; in_pipe -= n)
      if ((n = splice(ends[0], NULL, file, NULL, (size_t)in_pipe, SPLICE_F_MOVE)) <= 0)
        die("splice to the file");
  }
  close(ends[0]);
  close(ends[1]);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 5)) die("listen");
  int discards = !strcmp(argv[2], "-");
  for (;;) {
    int peer = accept(listener, NULL, NULL);
    if (discards) {
      if (peer < 0) die("accept");
      printf("%llu\n", (unsigned long long)store_by_recv(peer, -1, UINT64_MAX));
      fflush(stdout);
      close(peer);
      continue;
    }
    int file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (peer < 0 || file < 0) die("accept or open");
    if (!strcmp(argv[1], "splice"))
      store_by_splice(peer, file);
    else
      store_by_recv(peer, file, strcmp(argv[1], "frame") ? UINT64_MAX : read_head(peer));
    close(file); /* before the connection: who sees it close may look at the file */
    close(peer);
  }
}
