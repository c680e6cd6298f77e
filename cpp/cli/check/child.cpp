#include "check/child.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "terminal/interrupt.hpp"

namespace framecall::cli::check {

std::string filled_in(std::string command, const Endpoint& endpoint, const std::string& root) {
  const std::pair<const char*, std::string> values[] = {
      {"{host}", endpoint.host}, {"{port}", std::to_string(endpoint.port)}, {"{root}", root}};
  for (const auto& [name, value] : values) {
    const std::size_t size = std::string_view(name).size();
    for (std::size_t at = command.find(name); at != std::string::npos; at = command.find(name, at + value.size())) {
      command.replace(at, size, value);
    }
  }
  return command;
}

Child::Child(const std::string& command) : output_(std::tmpfile()) {
  if (output_ == nullptr) throw std::system_error(errno, std::generic_category(), "a temporary file");
  id_ = ::fork();
  if (id_ < 0) {
    const int error = errno;
    std::fclose(output_);
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (id_ == 0) {
    ::setpgid(0, 0);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, 0);
    ::dup2(::fileno(output_), 1);
    ::dup2(::fileno(output_), 2);
    for (const int number : {SIGPIPE, SIGXFSZ, SIGINT}) std::signal(number, SIG_DFL);  // as main() found them
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::setpgid(id_, id_);  // whoever of both is first
}

Child::~Child() {
  ::kill(-id_, SIGKILL);  // the shell may have started others
  while (!ended_ && ::waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  std::fclose(output_);
}

bool Child::ended() {
  int status = 0;
  if (!ended_ && ::waitpid(id_, &status, WNOHANG) == id_) {
    ended_ = true;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return ended_;
}

bool Child::wait(Clock::time_point deadline) {
  while (!ended()) {
    if (Clock::now() >= deadline) return false;
    sleep_until(Clock::now() + milliseconds(3));
  }
  return true;
}

std::string Child::output(std::size_t max_size) {
  std::string text;
  std::array<char, 4096> block;
  off_t at = 0;
  for (ssize_t count; (count = ::pread(::fileno(output_), block.data(), block.size(), at)) > 0; at += count) {
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > 2 * max_size) text.erase(0, text.size() - max_size);
  }
  if (text.size() > max_size) text.erase(0, text.size() - max_size);
  return text;
}

}  // namespace framecall::cli::check
