#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "arguments.hpp"
#include "commands.hpp"
#include "framecall/dialect_file.hpp"
#include "framecall/error.hpp"
#include "framecall/json.hpp"
#include "framecall/upload_client.hpp"
#include "progress.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  std::string address, name, dialect = "default", timeout = "30";
  std::vector<std::string> files;
  bool keep = false, json = false, quiet = false, no_progress = false;
};

struct Outcome {
  std::string name;
  std::uint64_t size = 0;
  double seconds = 0;
  std::string error;
  int exit_code = ok;
  bool confirmed = false;  // the receiver closed after our end of stream
};

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What went wrong, told apart by what the caller can do next.
void note_failure(Outcome& outcome, bool connected) {
  try {
    throw;
  } catch (const RemoteError& error) {
    outcome.error = "refused by the receiver: " + std::string(error.what()) + " (" + std::to_string(error.code()) + ")";
    outcome.exit_code = refused_by_peer;
  } catch (const std::system_error& error) {
    outcome.error = error.what();
    const bool late = error.code() == std::errc::timed_out;
    outcome.exit_code = late ? timed_out : connected ? failed : cannot_connect;
  } catch (const std::exception& error) {
    outcome.error = error.what();
    outcome.exit_code = failed;
  }
}

class Sender {
 public:
  Sender(const Flags& flags, const Endpoint& endpoint, const Dialect& dialect, std::chrono::milliseconds timeout)
      : flags_(flags), endpoint_(endpoint), bar_(!flags.quiet && !flags.no_progress && ProgressBar::possible()) {
    options_.dialect = dialect;
    options_.timeout = timeout;
  }

  Outcome send(const std::filesystem::path& path, std::string name) {
    Outcome outcome;
    outcome.name = std::move(name);
    const auto start = Clock::now();
    try {
      ProgressBar bar(outcome.name, bar_);
      if (!client_) connect();
      progress_ = [&bar](std::uint64_t done, std::uint64_t size) { bar.update(done, size); };
      outcome.size = client_->send_file(path, outcome.name);
      if (!flags_.keep) {
        outcome.confirmed = client_->finish();
        client_.reset();
      }
    } catch (...) {
      note_failure(outcome, client_ != nullptr);
      // With --keep a file of ours that cannot be read leaves the connection to the others.
      if (!flags_.keep || (client_ && !client_->usable())) client_.reset();
    }
    progress_ = nullptr;
    outcome.seconds = since(start);
    return outcome;
  }

  bool connected() const { return client_ != nullptr; }

  /// The end of a connection that carried several files, from `first` on: all are confirmed, or the last one of them
  /// answers for what went wrong.
  void finish(std::vector<Outcome>& outcomes, std::size_t first) {
    if (!client_) return;
    try {
      const bool confirmed = client_->finish();
      for (std::size_t i = first; i < outcomes.size(); ++i) outcomes[i].confirmed = confirmed;
    } catch (...) {
      std::size_t last = outcomes.size() - 1;
      while (last > first && !outcomes[last].error.empty()) --last;
      if (outcomes[last].error.empty()) note_failure(outcomes[last], true);
    }
  }

 private:
  void connect() {
    UploadOptions options = options_;
    options.progress = [this](std::uint64_t done, std::uint64_t size) {
      if (progress_) progress_(done, size);
    };
    client_ = std::make_unique<UploadClient>(endpoint_, std::move(options));
  }

  const Flags& flags_;
  const Endpoint& endpoint_;
  bool bar_;
  UploadOptions options_;
  std::function<void(std::uint64_t, std::uint64_t)> progress_;
  std::unique_ptr<UploadClient> client_;
};

void print_outcome(const Outcome& outcome, bool quiet) {
  if (!outcome.error.empty()) {
    complain(outcome.name + ": " + outcome.error);
    return;
  }
  if (!outcome.confirmed) {
    complain(outcome.name +
             ": sent; the receiver did not confirm it by closing, so whether it stored the file is not known");
  } else if (!quiet) {
    std::fprintf(stderr, "%s  %s  %.2f s  %s/s\n", printable(outcome.name).c_str(),
                 size_text(static_cast<double>(outcome.size)).c_str(), outcome.seconds,
                 size_text(static_cast<double>(outcome.size) / outcome.seconds).c_str());
  }
}

void print_summary(const std::vector<Outcome>& outcomes, double seconds) {
  Json files = Json::array();
  std::uint64_t count = 0, bytes = 0;
  for (const Outcome& outcome : outcomes) {
    Json file = {
        {"name", outcome.name}, {"size", outcome.size}, {"seconds", outcome.seconds}, {"ok", outcome.error.empty()}};
    if (outcome.error.empty()) {
      file["confirmed"] = outcome.confirmed;
      ++count;
      bytes += outcome.size;
    } else {
      file["error"] = outcome.error;
    }
    files.push_back(std::move(file));
  }
  const Json summary = {{"files_sent", count}, {"bytes", bytes}, {"seconds", seconds}, {"files", std::move(files)}};
  std::printf("%s\n", dump_json(summary).c_str());
}

int send(const Flags& flags) {
  Endpoint endpoint;
  std::chrono::milliseconds timeout{};
  Dialect dialect;
  try {
    endpoint = Endpoint::parse(flags.address);
    timeout = parse_duration(flags.timeout);
    dialect = find_dialect(flags.dialect);
    if (!flags.name.empty() && flags.files.size() > 1) throw std::invalid_argument("--name goes with one file");
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  const auto start = Clock::now();
  Sender sender(flags, endpoint, dialect, timeout);
  std::vector<Outcome> outcomes;
  std::size_t first = 0;  // on the connection that is open now
  for (const std::string& file : flags.files) {
    const std::filesystem::path path(file);
    if (!sender.connected()) first = outcomes.size();
    outcomes.push_back(sender.send(path, flags.name.empty() ? path.filename().string() : flags.name));
    if (!flags.keep) print_outcome(outcomes.back(), flags.quiet || flags.json);
    if (outcomes.back().exit_code == cannot_connect) break;  // the next one would not get further
  }
  if (flags.keep) {
    sender.finish(outcomes, first);
    for (const Outcome& outcome : outcomes) print_outcome(outcome, flags.quiet || flags.json);
  }
  if (flags.json) print_summary(outcomes, since(start));
  for (const Outcome& outcome : outcomes) {
    if (outcome.exit_code != ok) return outcome.exit_code;
  }
  return ok;
}

}  // namespace

void add_send(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("send", "Upload files to a receiver of the taught format");
  command->footer(
      "Example: framecall send 127.0.0.1:8080 report.pdf photo.jpg\n"
      "The receiver closes when it has read everything; its refusal ends this with code 5.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("files", flags->files, "Files; the receiver learns the last part of each path")->required();
  command->add_option("--name", flags->name, "The name that the receiver learns, for a single file");
  command->add_option("--dialect", flags->dialect, "The spelling to write; see framecall dialects")
      ->capture_default_str()
      ->envname("FRAMECALL_DIALECT");
  command->add_flag("--keep", flags->keep, "All files over one connection (taught receivers want one for each)");
  command->add_option("--timeout", flags->timeout, "To connect, and without progress, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_flag("--json", flags->json, "A summary on stdout as one JSON object");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command->add_flag("--no-progress", flags->no_progress, "No progress bar");
  command->callback([flags, &exit_code] { exit_code = send(*flags); });
}

}  // namespace framecall::cli
