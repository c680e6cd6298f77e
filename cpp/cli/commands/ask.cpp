#include <cerrno>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli {
namespace {

struct AskFlags : DialectFlags {
  std::string output;
  std::vector<std::string> messages;
  bool list = false, no_reply = false;
};

constexpr auto last_words = std::chrono::milliseconds(50);  // behind the last reply, of a peer that speaks unasked

// Where the replies go to: stdout, or a file that is made when the first one is there.
class ReplyOutput {
 public:
  explicit ReplyOutput(const std::string& path) : path_(path) {}
  ReplyOutput(const ReplyOutput&) = delete;
  ~ReplyOutput() {
    if (file_ != nullptr) std::fclose(file_);
  }

  void write(const Reply& reply) {
    if (reply.header.empty() && reply.body.empty()) return;  // the end of a session
    const std::string& text = reply.body.empty() ? reply.header : reply.body;
    if (path_.empty()) {
      print(text.ends_with('\n') ? text : text + '\n');
      return;
    }
    if (file_ == nullptr) file_ = std::fopen(path_.c_str(), "wb");
    if (file_ == nullptr) fail();
    // What is stored is content, and not to be touched; what is shown is lines.
    const bool content = !reply.header.empty() && !reply.body.empty();
    const bool line_feed = !content && !text.ends_with('\n');
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() ||
        (line_feed && std::fputc('\n', file_) == EOF) || std::fflush(file_) != 0) {
      fail();
    }
  }

 private:
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

  const std::string& path_;
  std::FILE* file_ = nullptr;
};

int ask(const AskFlags& flags) {
  std::unique_ptr<Connection> connection;
  try {
    connection = std::make_unique<Connection>(flags);
    for (const std::string& message : flags.messages) {
      if (message.starts_with("--")) {
        throw std::invalid_argument(message + " is no flag of ask; a message that begins with -- comes on stdin");
      }
      if (message.find_first_not_of(" \t\r\n") == std::string::npos) {
        throw std::invalid_argument("a message that is empty");
      }
    }
    if (flags.list && flags.no_reply) throw std::invalid_argument("--list and --no-reply do not go together");
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  Outcome outcome;
  outcome.name = flags.address;
  ReplyOutput output(flags.output);
  try {
    DialectClient& client = connection->client();
    if (flags.list) output.write(client.list());
    // Everything in the order of its arrival, also what nobody asked for.
    const auto write_unasked = [&](std::chrono::milliseconds limit) {
      while (const auto reply = client.unasked(limit)) output.write(*reply);
    };
    const auto say = [&](const std::string& message) {
      outcome.name = message;
      if (flags.no_reply) {
        client.say(message);
      } else {
        write_unasked(std::chrono::milliseconds(0));
        output.write(client.ask(message));
      }
    };
    for (const std::string& message : flags.messages) say(message);
    if (flags.messages.empty() && !flags.list) {
      for (std::string line; std::getline(std::cin, line);) {
        if (line.ends_with('\r')) line.pop_back();
        if (line.find_first_not_of(" \t") != std::string::npos) say(line);
      }
    }
    if (!flags.no_reply) {
      try {
        write_unasked(last_words);
      } catch (const ProtocolError& error) {  // behind the last reply
        complain(std::string("warning: dropped what came behind the last reply: ").append(error.what()));
      }
    }
  } catch (...) {
    note_failure(outcome, connection->connected(), "peer");
    print_outcome(outcome, true);
  }
  return outcome.exit_code;
}

}  // namespace

void add_ask(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<AskFlags>();
  CLI::App* command =
      app.add_subcommand("ask", "Say something to a server script in its dialect, and print its replies");
  command->footer(
      "Example: framecall ask 127.0.0.1:8080 dir '{\"cmd\": \"pwd\"}' --dialect scripts.toml\n"
      "The messages behind the address are sent in order, over one connection: a JSON object as a frame,\n"
      "anything else as raw text; without any, the lines of stdin. What the server sends is printed in the order of "
      "its\n"
      "arrival, also what nobody asked for: the body, else the header, else the raw text, with a line feed behind it.\n"
      "The first message that fails is the last; a server that says no ends this with code 5.");
  add_dialect_flags(*command, *flags);
  command->add_flag("--list", flags->list, "Ask for the list of files, before the messages");
  command->add_flag("--no-reply", flags->no_reply, "Wait for no replies");
  command->add_option("--output", flags->output, "A file for the replies instead of stdout; bodies go there unchanged");
  command->allow_extras();  // the messages: as options CLI11 would take those in brackets apart
  command->callback([flags, command, &exit_code] {
    flags->messages = command->remaining();
    exit_code = ask(*flags);
  });
}

}  // namespace framecall::cli
