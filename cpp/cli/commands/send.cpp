#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "terminal/progress.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct SendFlags : DialectFlags {
  std::string name;
  std::vector<std::string> files;
  bool keep = false, json = false, quiet = false, no_progress = false;
};

class Sender {
 public:
  static constexpr auto patience = std::chrono::milliseconds(1000);  // at the end, for receivers that do not close
  static constexpr std::size_t max_unconfirmed = 16;                 // of them at a time

  /// Throws std::invalid_argument.
  explicit Sender(const SendFlags& flags)
      : connection_(flags),
        keep_(flags.keep || !connection_.dialect().one_file),
        answered_(connection_.dialect().after_body),
        bar_(!flags.quiet && !flags.no_progress && ProgressBar::possible()) {}

  /// `index`: of its outcome, see settle().
  Outcome send(const std::filesystem::path& path, std::string name, std::size_t index) {
    Outcome outcome;
    index_ = index;
    outcome.name = std::move(name);
    const auto start = Clock::now();
    try {
      ProgressBar bar(outcome.name, bar_);
      DialectClient& client = connection_.client();
      connection_.progress = [&bar](std::uint64_t done, std::uint64_t size) { bar.update(done, size); };
      outcome.size = client.send_file(path, outcome.name);
      outcome.confirmed = answered_;
      if (!keep_) {
        if (!answered_) end(outcome);
        connection_.close();
      }
    } catch (...) {
      note_failure(outcome, connection_.connected(), "receiver");
      // On a kept connection a file of ours that cannot be read leaves it to the others.
      if (connection_.connected() && (!keep_ || !connection_.ready() || !connection_.client().usable())) {
        connection_.close();
      }
    }
    connection_.progress = nullptr;
    outcome.seconds = seconds_since(start);
    return outcome;
  }

  bool connected() const { return connection_.connected(); }
  /// The others would get no further.
  bool hopeless() const { return !connection_.ready(); }
  /// What became of the files is known only after finish().
  bool waits_for_the_end() const { return keep_ && !answered_; }

  /// Waits for receivers that have not closed yet, until `keep` of them are left, `limit` for all together. Returns the
  /// outcomes that are known now.
  std::vector<std::size_t> settle(std::vector<Outcome>& outcomes, std::size_t keep, std::chrono::milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    std::vector<std::size_t> settled;
    for (; unconfirmed_.size() > keep; unconfirmed_.pop_front()) {
      const std::size_t index = unconfirmed_.front().index;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      await_end(*unconfirmed_.front().client, outcomes[index], std::max(left, std::chrono::milliseconds(0)));
      settled.push_back(index);
    }
    return settled;
  }
  /// What became of the file under way is told later.
  bool waits_for(std::size_t index) const {
    return std::any_of(unconfirmed_.begin(), unconfirmed_.end(),
                       [index](const Unconfirmed& one) { return one.index == index; });
  }

  /// The end of a connection that carried several files, from `first` on: all are confirmed, or the last one of them
  /// answers for what went wrong.
  void finish(std::vector<Outcome>& outcomes, std::size_t first) {
    if (!connection_.connected() || answered_) return;
    try {
      const bool confirmed = connection_.client().finish();
      for (std::size_t i = first; i < outcomes.size(); ++i) {
        if (outcomes[i].confirmed) outcomes[i].confirmed = confirmed;
      }
    } catch (...) {
      std::size_t last = outcomes.size() - 1;
      while (last > first && !outcomes[last].error.empty()) --last;
      if (outcomes[last].error.empty()) note_failure(outcomes[last], true, "receiver");
    }
  }

 private:
  struct Unconfirmed {
    std::unique_ptr<DialectClient> client;
    std::size_t index;
  };

  // Most receivers close at once. The next file does not wait for one that does not.
  void end(Outcome& outcome) {
    DialectClient& client = connection_.client();
    client.end();
    outcome.confirmed = client.closed(hopeful_ ? short_patience : std::chrono::milliseconds(0));
    if (*outcome.confirmed) return;
    hopeful_ = false;
    unconfirmed_.push_back({connection_.release(), index_});
  }

  static void await_end(DialectClient& client, Outcome& outcome, std::chrono::milliseconds limit) {
    try {
      outcome.confirmed = client.closed(limit);
    } catch (...) {
      note_failure(outcome, true, "receiver");
    }
  }

  static constexpr auto short_patience = std::chrono::milliseconds(50);
  Connection connection_;
  bool keep_, answered_, bar_;
  bool hopeful_ = true;  // every receiver so far has closed in time
  std::size_t index_ = 0;
  std::deque<Unconfirmed> unconfirmed_;
};

int send(const SendFlags& flags) {
  std::unique_ptr<Sender> sender;
  try {
    sender = std::make_unique<Sender>(flags);
    if (!flags.name.empty() && flags.files.size() > 1) throw std::invalid_argument("--name goes with one file");
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  const auto start = Clock::now();
  const bool quiet = flags.quiet || flags.json;
  std::vector<Outcome> outcomes;
  std::size_t first = 0;  // on the connection that is open now
  for (const std::string& file : flags.files) {
    const std::filesystem::path path(file);
    if (!sender->connected()) first = outcomes.size();
    outcomes.push_back(sender->send(path, flags.name.empty() ? path.filename().string() : flags.name, outcomes.size()));
    if (!sender->waits_for_the_end() && !sender->waits_for(outcomes.size() - 1)) print_outcome(outcomes.back(), quiet);
    for (const std::size_t i : sender->settle(outcomes, Sender::max_unconfirmed, std::chrono::milliseconds(0))) {
      print_outcome(outcomes[i], quiet);
    }
    if (sender->hopeless()) break;
  }
  sender->finish(outcomes, first);
  for (const std::size_t i : sender->settle(outcomes, 0, Sender::patience)) print_outcome(outcomes[i], quiet);
  if (sender->waits_for_the_end()) {
    for (const Outcome& outcome : outcomes) print_outcome(outcome, quiet);
  }
  if (flags.json) print_summary(outcomes, seconds_since(start), "files_sent");
  return exit_code_of(outcomes);
}

}  // namespace

void add_send(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<SendFlags>();
  CLI::App* command =
      app.add_subcommand("send", "Upload files to a receiver of the taught format, or a relative of it");
  command->footer(
      "Example: framecall send 127.0.0.1:8080 report.pdf photo.jpg\n"
      "The receiver closes when it has read everything, or answers if its dialect says so; its refusal ends this with\n"
      "code 5. The next file does not wait for a receiver that stays open; those that have not closed a second after "
      "the\n"
      "last file are named.");
  add_dialect_flags(*command, *flags);
  command->add_option("files", flags->files, "Files; the receiver learns the last part of each path")->required();
  command->add_option("--name", flags->name, "The name that the receiver learns, for a single file");
  command->add_flag("--keep", flags->keep, "All files over one connection (most receivers want one for each)");
  command->add_flag("--json", flags->json, "A summary on stdout as one JSON object");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command->add_flag("--no-progress", flags->no_progress, "No progress bar");
  command->callback([flags, &exit_code] { exit_code = send(*flags); });
}

}  // namespace framecall::cli
