#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/outcome.hpp"
#include "framecall/error.hpp"
#include "framecall/file_client.hpp"
#include "terminal/interrupt.hpp"
#include "terminal/progress.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct GetFlags {
  std::string address, output, offset, length, max_size, timeout = "30";
  std::vector<std::string> names;
  bool resume = false, json = false, quiet = false, no_progress = false;
};

// What bytes go to as they come: stdout, or a device or FIFO, which is not to be replaced by a file.
class Through {
 public:
  explicit Through(const std::string& output)
      : descriptor_(output == "-" ? STDOUT_FILENO : ::open(output.c_str(), O_WRONLY | O_CLOEXEC)),
        output_(descriptor_, output == "-" ? "stdout" : output) {
    if (descriptor_ < 0) throw std::runtime_error(output + ": " + std::generic_category().message(errno));
  }
  Through(const Through&) = delete;
  ~Through() {
    if (descriptor_ != STDOUT_FILENO) ::close(descriptor_);
  }
  static bool wanted(const std::string& output) {
    std::error_code ignored;
    const fs::file_status status = fs::status(output, ignored);
    return output == "-" || (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status));
  }
  void write(std::string_view bytes) {
    output_.write(bytes);
    check_interrupt();
  }

 private:
  const int descriptor_;
  Output output_;
};

fs::path target_of(const GetFlags& flags, const std::string& name) {
  if (flags.output.empty()) return name;
  return fs::is_directory(flags.output) ? fs::path(flags.output) / name : fs::path(flags.output);
}

Outcome get_one(FileClient& client, const GetFlags& flags, const GetOptions& wanted, const std::string& name) {
  Outcome outcome;
  outcome.name = name;
  const auto start = Clock::now();
  const bool to_stdout = flags.output == "-";
  const bool through = Through::wanted(flags.output);
  try {
    ProgressBar bar(name, !to_stdout && !flags.quiet && !flags.no_progress && ProgressBar::possible());
    GetOptions options = wanted;
    options.progress = [&bar](std::uint64_t done, std::uint64_t size) {
      check_interrupt();
      bar.update(done, size);
    };
    if (through) {
      Through output(flags.output);
      outcome.size = client.read(name, [&](std::string_view bytes) { output.write(bytes); }, options).size;
    } else {
      outcome.size = client.get(name, target_of(flags, name), options).size;
    }
  } catch (const Interrupted&) {
    outcome.exit_code = interrupted;
  } catch (...) {
    note_call_failure(outcome);
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome;
}

GetOptions options_of(const GetFlags& flags) {
  GetOptions options;
  options.resume = flags.resume;
  if (!flags.offset.empty()) options.offset = parse_size("--offset", flags.offset);
  if (!flags.length.empty()) options.length = parse_size("--length", flags.length);
  if (!flags.max_size.empty()) options.max_size = parse_size("--max-size", flags.max_size);
  if (flags.resume && (!flags.offset.empty() || !flags.length.empty() || Through::wanted(flags.output))) {
    throw std::invalid_argument("--resume goes neither with a range nor with --output -");
  }
  for (const std::string& name : flags.names) {
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
      throw std::invalid_argument("\"" + name + "\": the name of a file has no /");
    }
  }
  if (flags.names.size() > 1 && !flags.output.empty() && !fs::is_directory(flags.output)) {
    throw std::invalid_argument("--output: a folder, for several files");
  }
  return options;
}

int get(const GetFlags& flags) {
  ClientOptions client_options;
  GetOptions options;
  Endpoint endpoint;
  try {
    endpoint = Endpoint::parse(flags.address);
    client_options.timeout = parse_duration("--timeout", flags.timeout);
    client_options.check = check_interrupt;
    options = options_of(flags);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  const auto start = Clock::now();
  FileClient client(endpoint, client_options);
  std::vector<Outcome> outcomes;
  for (const std::string& name : flags.names) {
    const Outcome outcome = get_one(client, flags, options, name);
    if (outcome.exit_code == interrupted) {
      if (flags.output != "-") {
        complain("interrupted; " + target_of(flags, name).string() +
                 ".part has the received part: repeat the command with --resume");
      }
      return interrupted;
    }
    outcomes.push_back(outcome);
    print_outcome(outcome, flags.quiet || flags.json || flags.output == "-");
    if (outcome.exit_code == cannot_connect) break;
  }
  if (flags.json) {
    print_summary(outcomes, std::chrono::duration<double>(Clock::now() - start).count(), "files_fetched");
  }
  return exit_code_of(outcomes);
}

}  // namespace

void add_get(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<GetFlags>();
  CLI::App* command = app.add_subcommand("get", "Fetch files from a server");
  command->footer(
      "Examples: framecall get 127.0.0.1:8080 film.mkv --resume\n"
      "          framecall get 127.0.0.1:8080 a.txt b.txt --output folder\n"
      "          framecall get 127.0.0.1:8080 log.txt --offset 1M --length 64K --output -\n"
      "A file grows as NAME.part and gets its name when it is whole.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("names", flags->names, "Names of files on the server, see framecall ls")->required();
  command->add_option("--output", flags->output, "A file, a folder, or - for stdout (default: the same name, here)");
  command->add_flag("--resume", flags->resume, "Go on with NAME.part, if the file is still the same");
  command->add_option("--offset", flags->offset, "From this byte on (K, M, G)");
  command->add_option("--length", flags->length, "So many bytes");
  command
      ->add_option("--max-size", flags->max_size,
                   "Fetch nothing larger, bytes (K, M, G; default: what the disk has room for)")
      ->envname("FRAMECALL_MAX_SIZE");
  command->add_option("--timeout", flags->timeout, "Without any progress, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_flag("--json", flags->json, "A summary on stdout as one JSON object");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command->add_flag("--no-progress", flags->no_progress, "No progress bar");
  command->callback([flags, &exit_code] { exit_code = get(*flags); });
}

}  // namespace framecall::cli
