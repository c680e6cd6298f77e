/* The floor of a sender: connect, sendfile() until everything is out, end of stream, wait for the peer to
 * close. No buffer of our own, no copy to user space. send_file PORT FILE [NAME]     with NAME: a frame that
 * uploads FILE under NAME, else bare bytes Exit code 0: the peer has closed without a word. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char* what) {
  perror(what);
  exit(1);
}

static void send_head(int peer, const char* name, off_t size) {
  char head[1024];
  int length = snprintf(head + 4, sizeof head - 4, "{\"file_name\": \"%s\", \"file_size\": %lld}", name,
                        (long long)size);
  errno = ENAMETOOLONG;
  if (length < 0 || (size_t)length >= sizeof head - 4) die(name);
  for (int i = 0; i < 4; ++i) head[i] = (char)((uint32_t)length >> (8 * i));
  if (send(peer, head, (size_t)length + 4, 0) != length + 4) die("send");
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  int file = open(argv[2], O_RDONLY), peer = socket(AF_INET, SOCK_STREAM, 0);
  struct stat status;
  if (file < 0 || fstat(file, &status)) die(argv[2]);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(peer, (struct sockaddr*)&address, sizeof address)) die("connect");
  if (argc > 3) send_head(peer, argv[3], status.st_size);
  for (off_t at = 0; at < status.st_size;)
    if (sendfile(peer, file, &at, (size_t)(status.st_size - at)) <= 0) die("sendfile");
  if (shutdown(peer, SHUT_WR)) die("shutdown");

  char answer[1024];
  ssize_t got = recv(peer, answer, sizeof answer, 0);
  if (got < 0) die("recv");
  if (got > 0) fprintf(stderr, "the peer answered: %.*s\n", (int)(got > 4 ? got - 4 : 0), answer + 4);
  return got != 0;
}
