#include "framecall/command_table.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/detail/suggestion.hpp"
#include "framecall/error.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_ASSERT(expression) static_assert(true)  // some texts fail them that it then refuses as it should
#include <toml++/toml.h>

namespace framecall {
namespace {

std::string trimmed(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r\n"), last = line.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string() : std::string(line.substr(first, last - first + 1));
}

/// A descriptor that is closed when it goes, and is none of the standard ones, which a child replaces.
class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return;
    descriptor_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    ::close(descriptor);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~Descriptor() { close(); }
  int get() const { return descriptor_; }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_;
};

struct Pipe {
  Descriptor reading, writing;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw SystemError(errno, std::generic_category(), "pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// One of the two that a program writes to: what came from it so far.
struct Output {
  Pipe pipe = make_pipe();
  std::string text;
  bool ended = false;

  /// Takes what is there now. False: there are more than `room` bytes, of which `room` were taken.
  bool read(std::size_t room) {
    while (!ended) {
      char block[65536];
      const ssize_t count = ::read(pipe.reading.get(), block, std::min(sizeof block, room + 1));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return true;  // nothing more now
      if (count == 0) ended = true;
      const auto size = static_cast<std::size_t>(count);
      text.append(block, std::min(size, room));
      if (size > room) return false;
      room -= size;
    }
    return true;
  }
};

/// What a new process needs. All of it is made before: the process has our memory until it becomes another program.
struct Launch {
  char* const* arguments;
  int in, out, err, problem;
  pid_t parent;
};

[[noreturn]] void become(const Launch& launch) {
  ::setpgid(0, 0);
  struct sigaction default_action{};
  default_action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &default_action, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the end of the thread that waits for it: of the server, killed or not
  if (::getppid() == launch.parent && ::dup2(launch.in, STDIN_FILENO) >= 0 && ::dup2(launch.out, STDOUT_FILENO) >= 0 &&
      ::dup2(launch.err, STDERR_FILENO) >= 0) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execvp(launch.arguments[0], launch.arguments);
  }
  const int problem = errno;
  [[maybe_unused]] const ssize_t written = ::write(launch.problem, &problem, sizeof problem);
  ::_exit(127);
}

// No signal handler of ours runs in the child: it would run on our memory.
pid_t launch_process(const Launch& launch) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) become(launch);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

/// The program, in a process group of its own, with nothing of ours but its three descriptors and default signals.
int spawn(const std::vector<std::string>& arguments, Output& out, Output& err, pid_t& pid) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  Pipe problem = make_pipe();
  const Descriptor in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  pid = launch_process(
      {argv.data(), in.get(), out.pipe.writing.get(), err.pipe.writing.get(), problem.writing.get(), ::getpid()});
  if (pid < 0) return errno;
  for (Output* output : {&out, &err}) {
    output->pipe.writing.close();
    ::fcntl(output->pipe.reading.get(), F_SETFL, O_NONBLOCK);
  }
  problem.writing.close();
  int errno_value = 0;
  if (::read(problem.reading.get(), &errno_value, sizeof errno_value) != sizeof errno_value) return 0;
  ::waitpid(pid, nullptr, 0);
  return errno_value;
}

enum class End : std::uint8_t { own, late, too_much, stopped };

/// Reads what the program writes until its end, or until it has to be killed; collects it, and kills what it left running.
class Watch {
 public:
  Watch(pid_t pid, const std::stop_token& stop)
      : pid_(pid),
        process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),  // none before Linux 5.3: the pipes' ends count
        stopped_(::eventfd(0, EFD_CLOEXEC)),
        on_stop_(stop, [this] { ::eventfd_write(stopped_.get(), 1); }) {}
  ~Watch() {
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  End wait(Output& out, Output& err, std::size_t room, std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (bool ended = false;;) {
      const auto left_room = [&] { return room - out.text.size() - err.text.size(); };
      if (!out.read(left_room()) || !err.read(left_room())) return End::too_much;
      if (ended || (process_.get() < 0 && out.ended && err.ended)) return End::own;
      pollfd wanted[] = {{process_.get(), POLLIN, 0},
                         {stopped_.get(), POLLIN, 0},
                         {out.ended ? -1 : out.pipe.reading.get(), POLLIN, 0},
                         {err.ended ? -1 : err.pipe.reading.get(), POLLIN, 0}};
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0) return End::late;
      ::poll(wanted, std::size(wanted), static_cast<int>(std::min<std::int64_t>(left, INT_MAX)));
      if (wanted[1].revents != 0) return End::stopped;
      ended = wanted[0].revents != 0;  // what it has written before is read once more
    }
  }

 private:
  pid_t pid_;
  Descriptor process_, stopped_;
  std::stop_callback<std::function<void()>> on_stop_;
};

}  // namespace

CommandTable::CommandTable(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw SystemError(errno, std::generic_category(), path.string());
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

bool CommandTable::has_programs() const {
  return std::any_of(commands_.begin(), commands_.end(),
                     [](const auto& entry) { return !entry.second.arguments.empty(); });
}

std::optional<std::string> CommandTable::answer_at_once(std::string_view line) const {
  const auto found = commands_.find(trimmed(line));
  if (found == commands_.end()) return "unknown command: " + printable(line) + "\n";
  if (found->second.arguments.empty()) return found->second.text;
  return std::nullopt;
}

std::string CommandTable::run(std::string_view line, const std::stop_token& stop) const {
  if (auto text = answer_at_once(line)) return *std::move(text);
  try {
    return run_program(commands_.find(trimmed(line))->second, stop);
  } catch (const std::exception& error) {
    return std::string(error.what()) + "\n";
  }
}

std::string CommandTable::run_program(const Command& command, const std::stop_token& stop) const {
  Output out, err;
  pid_t pid = -1;
  const int problem = spawn(command.arguments, out, err, pid);
  if (problem != 0) return command.arguments.front() + ": " + std::generic_category().message(problem) + "\n";
  const End end = Watch(pid, stop).wait(out, err, max_output_, timeout_);
  std::string text = std::move(out.text) + err.text;
  switch (end) {
    case End::own: break;
    case End::late: text += "\n[killed: it ran for more than " + std::to_string(timeout_.count()) + " ms]\n"; break;
    case End::too_much: text += "\n[cut: more than " + std::to_string(max_output_) + " bytes, max_output]\n"; break;
    case End::stopped: text += "\n[killed: the server ends]\n"; break;
  }
  return text;
}

}  // namespace framecall
