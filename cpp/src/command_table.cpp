#include "framecall/command_table.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "framecall/error.hpp"
#include "framecall/suggestion.hpp"

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace framecall {
namespace {

std::string trimmed(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r\n"), last = line.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string() : std::string(line.substr(first, last - first + 1));
}

/// What a program writes, in memory that goes with it.
class Output {
 public:
  Output() : file_(::memfd_create("framecall-command", MFD_CLOEXEC)) {
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
  Output(const Output&) = delete;
  ~Output() { ::close(file_); }
  int descriptor() const { return file_; }
  /// Appends at most `room` bytes of it to `text`; false if there was more.
  bool append_to(std::string& text, std::size_t room) const {
    struct stat status{};
    ::fstat(file_, &status);
    const auto size = static_cast<std::size_t>(status.st_size), wanted = std::min(size, room);
    const std::size_t before = text.size();
    text.resize(before + wanted);
    const ssize_t count = wanted > 0 ? ::pread(file_, text.data() + before, wanted, 0) : 0;
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return size <= room;
  }

 private:
  int file_;
};

/// The program, in a process group of its own, with nothing of ours but its three descriptors and default signals.
int spawn(const std::vector<std::string>& arguments, const Output& out, const Output& err, pid_t& pid) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.descriptor(), STDERR_FILENO);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int problem = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return problem;
}

/// Waits for the program's end and collects it; false if it had to be killed.
bool wait_for_end(pid_t pid, std::chrono::milliseconds timeout) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool ended = handle < 0;  // a kernel before 5.3: there is nothing to wait on with a timeout
  while (!ended) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wanted{handle, POLLIN, 0};
    const int ready = left > 0 ? ::poll(&wanted, 1, static_cast<int>(left)) : 0;
    if (ready == 0) break;
    ended = ready > 0;
  }
  if (handle >= 0) {
    ::kill(-pid, SIGKILL);  // also what it left running, which would write on into nothing
    ::close(handle);
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return ended;
}

}  // namespace

CommandTable::CommandTable(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::system_error(errno, std::generic_category(), path.string());
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  toml::table file;
  try {
    file = toml::parse(content, path.string());
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(path.string() + ":" + std::to_string(error.source().begin.line) + ": " +
                                std::string(error.description()));
  }
  for (const auto& [key, node] : file) {
    const std::string name = trimmed(key.str());
    const std::string where =
        path.string() + ":" + std::to_string(node.source().begin.line) + ": [" + printable(name, 60) + "]";
    const toml::table* const table = node.as_table();
    if (table == nullptr || name.empty()) throw std::invalid_argument(where + " is not a table with run or text");
    static constexpr std::string_view known[] = {"run", "text"};
    for (const auto& [setting, value] : *table) {
      if (setting.str() == "run" || setting.str() == "text") continue;
      const std::string line = std::to_string(setting.source().begin.line);
      throw std::invalid_argument(path.string() + ":" + line + ": [" + printable(name, 60) + "] " +
                                  printable(setting.str(), 60) + " is no setting: run or text" +
                                  suggestion(setting.str(), known));
    }
    if (commands_.contains(name)) throw std::invalid_argument(where + " is there twice, but for blanks");
    Command command;
    const toml::array* const run = table->get_as<toml::array>("run");
    const auto* const text = table->get_as<std::string>("text");
    if (run != nullptr) {
      for (const toml::node& argument : *run) {
        if (!argument.is_string()) throw std::invalid_argument(where + ": run is not a list of strings");
        command.arguments.push_back(argument.ref<std::string>());
      }
    }
    if (text != nullptr) command.text = text->get();
    if ((text != nullptr) == (run != nullptr) || table->size() != 1 || (run != nullptr && run->empty())) {
      throw std::invalid_argument(where + ": either run = [PROGRAM, ARGUMENT, ...] or text = \"...\"");
    }
    commands_.insert_or_assign(name, std::move(command));
  }
}

bool CommandTable::has(std::string_view line) const { return commands_.contains(trimmed(line)); }

std::string CommandTable::run(std::string_view line) const {
  const auto found = commands_.find(trimmed(line));
  if (found == commands_.end()) return "unknown command: " + printable(line) + "\n";
  if (found->second.arguments.empty()) return found->second.text;
  try {
    return run_program(found->second);
  } catch (const std::exception& error) {
    return std::string(error.what()) + "\n";
  }
}

std::string CommandTable::run_program(const Command& command) const {
  const Output out, err;
  pid_t pid = -1;
  const int problem = spawn(command.arguments, out, err, pid);
  if (problem != 0) return command.arguments.front() + ": " + std::generic_category().message(problem) + "\n";
  const bool ended = wait_for_end(pid, timeout_);
  std::string text;
  const bool whole = out.append_to(text, max_output) && err.append_to(text, max_output - text.size());
  if (!whole) text += "\n[cut: more than " + std::to_string(max_output) + " bytes, max_output]\n";
  if (!ended) text += "\n[killed: it ran for more than " + std::to_string(timeout_.count()) + " ms]\n";
  return text;
}

}  // namespace framecall
