#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "framecall/client.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/interrupt.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli {
namespace {

struct CallFlags {
  std::string address, method, body, output, items, timeout, dialect = "default";
  std::vector<std::string> params, metadata;
  bool stream = false, digest = false, idempotent = false, notify = false, quiet = false;
};

// What the flags mean.
struct Plan {
  std::vector<Endpoint> endpoints;
  Json params;
  CallOptions options;
  std::shared_ptr<const Dialect> dialect;
};

// Not std::system_error, which stands for the network here.
[[noreturn]] void fail(const std::string& what, int errno_value) {
  throw std::runtime_error(what + ": " + std::generic_category().message(errno_value));
}

std::vector<Endpoint> read_endpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  for (;;) {
    const std::size_t comma = text.find(',');
    endpoints.push_back(Endpoint::parse(text.substr(0, comma)));
    if (comma == std::string_view::npos) return endpoints;
    text.remove_prefix(comma + 1);
  }
}

bool is_list_or_object(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && (text[first] == '[' || text[first] == '{');
}

Json read_value(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const ProtocolError&) {
    return text;
  }
}

Json read_params(const std::vector<std::string>& texts) {
  if (texts.empty()) return nullptr;
  for (const std::string& text : texts) {  // flags that CLI11 does not know come here, too
    if (text.size() > 1 && text.starts_with('-')) throw std::invalid_argument(text + ": no such flag");
  }
  if (is_list_or_object(texts.front())) {
    if (texts.size() > 1) throw std::invalid_argument(texts[1] + ": nothing goes behind params that are one JSON text");
    try {
      return parse_json(texts.front());
    } catch (const ProtocolError& error) {
      throw std::invalid_argument(texts.front() + ": " + error.what());
    }
  }
  Json params = Json::object();
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || is_list_or_object(text)) {
      throw std::invalid_argument(text +
                                  ": params are one JSON text, an array or an object, or any number of KEY=VALUE");
    }
    const std::string key = text.substr(0, equals);
    if (params.contains(key)) throw std::invalid_argument(text + ": there is a " + key + " already");
    params[key] = read_value(text.substr(equals + 1));
  }
  return params;
}

Json read_metadata(const std::vector<std::string>& texts) {
  Json metadata;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw std::invalid_argument("--metadata " + text + ": not KEY=VALUE");
    metadata[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return metadata;
}

void check_utf8(const Json& value, const std::string& what) {
  try {
    dump_json(value);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(what + ": " + error.what());
  }
}

// Throws std::invalid_argument.
Plan read_plan(const CallFlags& flags) {
  Plan plan;
  plan.endpoints = read_endpoints(flags.address);
  plan.params = read_params(flags.params);
  if (flags.method.empty()) throw std::invalid_argument("the name of a method that is empty");
  plan.options.metadata = read_metadata(flags.metadata);
  check_utf8(flags.method, "METHOD");
  check_utf8(plan.params, "PARAMS");
  check_utf8(plan.options.metadata, "--metadata");
  plan.dialect = dialect_of_calls(flags.dialect);
  plan.options.idempotent = flags.idempotent;
  plan.options.digest = flags.digest;
  plan.options.more = !flags.items.empty();
  if (!flags.timeout.empty()) {
    plan.options.timeout = parse_duration("--timeout", flags.timeout);
    if (plan.options.timeout.count() == 0) throw std::invalid_argument("--timeout: above 0");
  }
  const auto not_together = [](const char* one, const char* other) {
    throw std::invalid_argument(std::string(one) + " and " + other + " do not go together");
  };
  if (flags.notify && flags.stream) not_together("--notify", "--stream");
  if (flags.notify && !flags.output.empty()) not_together("--notify", "--output");
  if (flags.notify && flags.idempotent) not_together("--notify", "--idempotent");
  if (flags.stream && flags.idempotent) not_together("--stream", "--idempotent");
  if (!flags.items.empty() && !flags.stream) throw std::invalid_argument("--items goes with --stream");
  if (flags.items == "-" && flags.body == "-") throw std::invalid_argument("--body and --items: both want stdin");
  return plan;
}

// A file, or stdin.
class Input {
 public:
  Input(const char* flag, const std::string& path)
      : shown_(path == "-" ? "stdin" : std::string(flag) + " " + path), owned_(path != "-") {
    while (owned_ && (descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) < 0) {
      if (errno != EINTR) fail(shown_, errno);  // the open of a FIFO waits
      check_interrupt();
    }
  }
  Input(const Input&) = delete;
  ~Input() {
    if (owned_) ::close(descriptor_);
  }

  std::string read_all() {
    while (read_piece()) {
    }
    return std::move(text_);
  }

  /// Without its line feed; false: there was the last one.
  bool read_line(std::string& line) {
    std::size_t end = 0;
    for (std::size_t from = 0; (end = text_.find('\n', from)) == std::string::npos;) {
      from = text_.size();
      if (!read_piece()) break;
    }
    if (text_.empty()) return false;
    line = text_.substr(0, end);
    text_.erase(0, end == std::string::npos ? end : end + 1);
    ++line_number_;
    return true;
  }

  /// Of the last line, for messages.
  std::string place() const { return shown_ + ", line " + std::to_string(line_number_); }

 private:
  bool read_piece() {
    constexpr std::size_t piece = 64 * 1024;
    const std::size_t size = text_.size();
    if (text_.capacity() < size + piece) text_.reserve(2 * size + piece);
    text_.resize(size + piece);
    ssize_t count = 0;
    while ((count = ::read(descriptor_, text_.data() + size, piece)) < 0) {
      if (errno != EINTR) fail(shown_, errno);
      check_interrupt();
    }
    text_.resize(size + static_cast<std::size_t>(count));
    return count > 0;
  }

  std::string shown_, text_;
  bool owned_;
  int descriptor_ = STDIN_FILENO;
  std::size_t line_number_ = 0;
};

void write_all(int descriptor, std::string_view bytes, const std::string& shown) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      fail(shown, errno);
    } else {
      check_interrupt();
    }
  }
}

// Where bodies go to: nowhere, stdout, or a file that gets its name when it is whole.
class BodyOutput {
 public:
  explicit BodyOutput(const std::string& path) : shown_(path == "-" ? "stdout" : "--output " + path) {
    if (path.empty()) return;
    if (path == "-") {
      through_.emplace(STDOUT_FILENO, shown_);
      return;
    }
    struct stat status{};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) fail(shown_, EISDIR);
    if (exists && !S_ISREG(status.st_mode)) {  // a device or a FIFO is to be written to, not to be replaced
      descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail(shown_, errno);
      through_.emplace(descriptor_, shown_);
      return;
    }
    std::error_code problem;
    target_ = std::filesystem::weakly_canonical(path, problem);  // a link stays, what is behind it is replaced
    if (problem) fail(shown_, problem.value());
    for (unsigned number = 0; descriptor_ < 0; ++number) {
      part_ =
          target_.parent_path() / (".framecall-" + std::to_string(::getpid()) + "-" + std::to_string(number) + ".part");
      descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && errno != EEXIST) {
        const int errno_value = errno;
        part_.clear();
        fail(shown_ + ": cannot be made", errno_value);
      }
    }
  }
  BodyOutput(const BodyOutput&) = delete;
  ~BodyOutput() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!part_.empty()) ::unlink(part_.c_str());
  }

  void write(std::string_view body) {
    size_ += body.size();
    if (through_) {
      through_->write(body);
    } else if (wanted()) {
      write_all(descriptor_, body, shown_);
    }
  }

  /// Gives the file its name.
  void finish() {
    if (part_.empty()) return;
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0) fail(shown_, errno);
    if (::rename(part_.c_str(), target_.c_str()) != 0) fail(shown_, errno);
    part_.clear();
  }

  bool wanted() const { return descriptor_ >= 0 || through_; }
  std::uint64_t size() const { return size_; }

 private:
  std::string shown_;
  std::filesystem::path target_, part_;
  std::optional<Output> through_;  // stdout, a device, a FIFO
  int descriptor_ = -1;
  std::uint64_t size_ = 0;  // of all bodies, also without a place to go to
};

class Caller {
 public:
  Caller(const CallFlags& flags, const Plan& plan) : flags_(flags), plan_(plan) {}

  /// Files are opened first: a call should not be made, and its answer be lost.
  void run() {
    BodyOutput output(flags_.output);
    std::unique_ptr<Input> items;
    if (!flags_.items.empty()) items = std::make_unique<Input>("--items", flags_.items);
    std::string body;
    if (!flags_.body.empty()) body = Input("--body", flags_.body).read_all();
    ClientOptions options;
    options.check = check_interrupt;
    options.dialect = plan_.dialect;
    Client client(plan_.endpoints, options);
    if (flags_.notify) {
      client.notify(flags_.method, plan_.params, body, plan_.options);
      return;
    }
    const bool noted = output.wanted() || flags_.quiet;
    if (flags_.stream) {
      stream(client.stream(flags_.method, plan_.params, body, plan_.options), items.get(), output);
    } else {
      const Response response = client.request(flags_.method, plan_.params, body, plan_.options);
      output.write(response.body.view());
      output.finish();
      show(response.result);
    }
    if (output.size() > 0 && !noted) {
      complain("a body of " + std::to_string(output.size()) +
               " bytes came with the reply: --output FILE stores it, --output - prints it");
    }
  }

 private:
  void stream(ClientStream stream, Input* items, BodyOutput& output) {
    for (std::string line; items != nullptr && items->read_line(line);) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      Part part;
      try {
        parse_json(line);
      } catch (const ProtocolError& error) {
        throw std::runtime_error(items->place() + ": " + error.what());
      }
      part.value = line;
      if (!stream.write_unchecked(part)) break;  // the answer tells why
    }
    if (items != nullptr) stream.finish_writing();
    bool continues = false;  // then the value has been shown
    for (Part part; stream.read(part); continues = part.continues) {
      if (!continues) {
        // A line feed in JSON text is white space; a reader of lines would stumble over it.
        std::replace(part.value.begin(), part.value.end(), '\n', ' ');
        std::replace(part.value.begin(), part.value.end(), '\r', ' ');
        show(part.value);
      }
      output.write(part.body.view());
    }
    output.finish();
  }

  void show(const std::string& json) const {
    if (flags_.output != "-") {
      print(json + "\n");
    } else if (!flags_.quiet) {
      print_error(json + "\n");
    }
  }

  const CallFlags& flags_;
  const Plan& plan_;
};

int call(const CallFlags& flags) {
  Plan plan;
  try {
    plan = read_plan(flags);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  Outcome outcome;
  outcome.name = flags.method;
  try {
    Caller(flags, plan).run();
  } catch (const Interrupted&) {
    return interrupted;
  } catch (...) {
    note_call_failure(outcome);
    print_outcome(outcome, true);
  }
  return outcome.exit_code;
}

}  // namespace

void add_call(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<CallFlags>();
  CLI::App* command = app.add_subcommand("call", "Call a method of a server and print its result");
  command->footer(
      "Behind the method come its params: one JSON text, an array or an object, or any number of KEY=VALUE. A value\n"
      "is read as JSON if it is JSON, else it is a string: n=3, name=Ada, zip='\"123\"'.\n"
      "Examples: framecall call 127.0.0.1:8080 echo '[2, 3]'\n"
      "          framecall call 127.0.0.1:8080 echo name=Ada year=1815\n"
      "          framecall call 127.0.0.1:8080 upper --body - --output - < text\n"
      "The result comes on stdout as the server wrote it, one line for each part of a stream; with --output - it goes\n"
      "to stderr. Exit code 5 when the server answers with an error, 4 when nothing came in time.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH; servers that are alike: A,B,C")
      ->required();
  command->add_option("method", flags->method, "The name of the method, see framecall discover")->required();
  command->add_option("--body", flags->body, "A file whose bytes go along; - reads stdin");
  command->add_option("--output", flags->output,
                      "A file for the body of the reply, with its name when it is whole; - is stdout");
  command->add_flag("--stream", flags->stream, "Take a reply of many parts, each as it comes");
  command->add_option("--items", flags->items,
                      "With --stream: a file, or - for stdin, whose lines are the JSON values of more parts to send");
  command
      ->add_option("--metadata", flags->metadata,
                   "KEY=VALUE beside the params, authorization=\"Bearer TOKEN\"; may be repeated")
      ->allow_extra_args(false);  // each takes one value, not also the params behind it
  command
      ->add_option(
          "--timeout", flags->timeout,
          "For all of the call, seconds; the server is told (default: 30, of a stream for each part, not told)")
      ->envname("FRAMECALL_TIMEOUT");
  add_call_dialect(*command, flags->dialect);
  command->add_flag("--digest", flags->digest, "Send the SHA-256 of the body along, which the server checks");
  command->add_flag("--idempotent", flags->idempotent, "Call again if the connection breaks: twice does no harm");
  command->add_flag("--notify", flags->notify, "Say it and wait for no reply");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but the result and errors");
  command->allow_extras();  // the params: as options CLI11 would take those in brackets apart
  command->callback([flags, command, &exit_code] {
    flags->params = command->remaining();
    exit_code = call(*flags);
  });
}

}  // namespace framecall::cli
