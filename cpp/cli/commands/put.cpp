#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/outcome.hpp"
#include "framecall/error.hpp"
#include "framecall/file_client.hpp"
#include "terminal/interrupt.hpp"
#include "terminal/progress.hpp"

namespace framecall::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr unsigned most_parallel = 16;

struct PutFlags {
  std::string address, name, separator = "__", if_exists = "replace", timeout = "30";
  std::vector<std::string> files;
  unsigned parallel = 1;
  bool recursive = false, resume = false, json = false, quiet = false, no_progress = false;
};

// A file here, and its name there.
struct Job {
  fs::path path;
  std::string name;
};

// The files of a folder; their names on the server are flat, so what was a slash becomes the separator.
void add_folder(std::vector<Job>& jobs, const fs::path& folder, const std::string& separator) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink() || (!entry.is_regular_file() && !entry.is_directory())) {
      complain(entry.path().string() + ": left out, neither a file nor a folder");
    } else if (entry.is_regular_file()) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    std::string name;
    for (const fs::path& piece : path.lexically_relative(folder)) {
      name.append(name.empty() ? "" : separator).append(piece.string());
    }
    jobs.push_back({path, name});
  }
}

std::vector<Job> read_jobs(const PutFlags& flags) {
  std::vector<Job> jobs;
  for (const std::string& file : flags.files) {
    const fs::path path(file);
    if (!fs::is_directory(path)) {
      jobs.push_back({path, flags.name.empty() ? path.filename().string() : flags.name});
    } else if (flags.recursive) {
      add_folder(jobs, path, flags.separator);
    } else {
      throw std::invalid_argument(file + ": a folder; --recursive takes what is in it");
    }
  }
  std::map<std::string, fs::path> taken;
  for (const Job& job : jobs) {
    const auto [other, is_new] = taken.emplace(job.name, job.path);
    if (!is_new) {
      throw std::invalid_argument(job.path.string() + " and " + other->second.string() + " would both be \"" +
                                  job.name + "\"");
    }
  }
  return jobs;
}

class Putter {
 public:
  Putter(const PutFlags& flags, const Endpoint& endpoint, const ClientOptions& options, std::vector<Job> jobs)
      : flags_(flags), endpoint_(endpoint), options_(options), jobs_(std::move(jobs)), outcomes_(jobs_.size()) {
    bar_ = flags.parallel == 1 && !flags.quiet && !flags.no_progress && ProgressBar::possible();
  }

  int run() {
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < flags_.parallel; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    outcomes_.resize(done_);
    if (flags_.json) print_summary(outcomes_, seconds, "files_stored");
    if (outcomes_.size() > 1 && !flags_.quiet && !flags_.json) print_total(seconds);
    if (!interrupted_name_.empty()) {
      complain("interrupted; the server keeps the received part of \"" + interrupted_name_ +
               "\" for 24 hours: repeat the command with --resume");
      return interrupted;
    }
    return exit_code_of(outcomes_);
  }

 private:
  void work() {
    FileClient client(endpoint_, options_);
    for (;;) {
      const std::size_t place = next_++;
      if (place >= jobs_.size() || stop_) return;
      const Outcome outcome = put(client, jobs_[place]);
      const std::lock_guard lock(mutex_);
      if (outcome.exit_code == interrupted) {
        interrupted_name_ = outcome.name;
        stop_ = true;
        return;
      }
      print_outcome(outcome, flags_.quiet || flags_.json);
      outcomes_[done_++] = outcome;
      if (outcome.exit_code == cannot_connect) stop_ = true;  // nor would the others
    }
  }

  Outcome put(FileClient& client, const Job& job) const {
    Outcome outcome;
    outcome.name = job.name;
    const auto start = Clock::now();
    try {
      ProgressBar bar(job.name, bar_);
      PutOptions options;
      options.resume = flags_.resume;
      options.replace = flags_.if_exists == "replace";
      options.progress = [&bar](std::uint64_t done, std::uint64_t size) {
        check_interrupt();
        bar.update(done, size);
      };
      outcome.size = client.put(job.path, job.name, options).size;
    } catch (const Interrupted&) {
      outcome.exit_code = interrupted;
    } catch (...) {
      note_call_failure(outcome);
    }
    outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return outcome;
  }

  void print_total(double seconds) const {
    Outcome total;
    std::size_t count = 0;
    for (const Outcome& outcome : outcomes_) {
      if (!outcome.error.empty()) continue;
      ++count;
      total.size += outcome.size;
    }
    total.name = std::to_string(count) + " of " + std::to_string(jobs_.size()) + " files";
    total.seconds = seconds;
    print_outcome(total, false);
  }

  const PutFlags& flags_;
  const Endpoint endpoint_;
  const ClientOptions options_;
  const std::vector<Job> jobs_;
  bool bar_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // of what follows, and of the lines
  std::vector<Outcome> outcomes_;
  std::size_t done_ = 0;
  std::string interrupted_name_;
};

int put(const PutFlags& flags) {
  Endpoint endpoint;
  ClientOptions options;
  std::vector<Job> jobs;
  try {
    endpoint = Endpoint::parse(flags.address);
    options.timeout = parse_duration("--timeout", flags.timeout);
    options.check = check_interrupt;
    if (!flags.name.empty() && (flags.files.size() > 1 || flags.recursive)) {
      throw std::invalid_argument("--name goes with one file");
    }
    if (flags.separator.find_first_of("/\\") != std::string::npos) {
      throw std::invalid_argument("--separator: without / and \\");
    }
    if (flags.parallel < 1 || flags.parallel > most_parallel) {
      throw std::invalid_argument("--parallel: 1 .. " + std::to_string(most_parallel));
    }
    jobs = read_jobs(flags);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  return Putter(flags, endpoint, options, std::move(jobs)).run();
}

}  // namespace

void add_put(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<PutFlags>();
  CLI::App* command = app.add_subcommand("put", "Store files on a server, acknowledged and verified");
  command->footer(
      "Examples: framecall put 127.0.0.1:8080 film.mkv\n"
      "          framecall put 127.0.0.1:8080 film.mkv --resume\n"
      "          framecall put 127.0.0.1:8080 photos --recursive --parallel 4\n"
      "A file is reported when the server has it whole and on disk, and its SHA-256 is that of the file here.\n"
      "Interrupted uploads can be resumed for 24 hours.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("files", flags->files, "Files; with --recursive folders, too")->required();
  command->add_option("--name", flags->name, "The name on the server, for a single file");
  command->add_flag("--recursive", flags->recursive, "What is in folders, below them as well");
  command->add_option("--separator", flags->separator, "Stands for the / in names of files below a folder")
      ->capture_default_str();
  command->add_flag("--resume", flags->resume, "Go on where an earlier attempt was cut off; nothing is sent twice");
  command->add_option("--if-exists", flags->if_exists, "replace or reject what is there under the name")
      ->check(CLI::IsMember({"replace", "reject"}))
      ->capture_default_str();
  command->add_option("--parallel", flags->parallel, "Files at a time, each over a connection")->capture_default_str();
  command->add_option("--timeout", flags->timeout, "Without any progress, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_flag("--json", flags->json, "A summary on stdout as one JSON object");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command->add_flag("--no-progress", flags->no_progress, "No progress bar");
  command->callback([flags, &exit_code] { exit_code = put(*flags); });
}

}  // namespace framecall::cli
