#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/outcome.hpp"
#include "framecall/error.hpp"
#include "framecall/file_client.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli {
namespace {

struct FilesFlags {
  std::string address, prefix, timeout = "30";
  std::vector<std::string> names;
  bool details = false, partial = false, json = false, quiet = false;
};

std::string time_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  ::localtime_r(&time, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

Json value_of(const FileInfo& file) { return {{"name", file.name}, {"size", file.size}, {"mtime", file.mtime}}; }

// Writes each page as it comes: a server has as many files as it says.
void print_list(FileClient& client, const FilesFlags& flags) {
  int width = 1;
  const char* separator = "[";
  const std::uint64_t left_out = client.list(flags.prefix, [&](const std::vector<FileInfo>& files) {
    for (const FileInfo& file : files) width = std::max(width, static_cast<int>(std::to_string(file.size).size()));
    for (const FileInfo& file : files) {
      if (flags.json) {
        std::printf("%s%s", std::exchange(separator, ", "), dump_json(value_of(file)).c_str());
        continue;
      }
      if (flags.details) {
        std::printf("%*llu  %s  ", width, static_cast<unsigned long long>(file.size), time_text(file.mtime).c_str());
      }
      std::printf("%s\n", printable(file.name, 4 * 255).c_str());
    }
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to stdout");
  });
  if (flags.json) std::printf("%s]\n", *separator == '[' ? "[" : "");
  if (left_out > 0) {
    complain("note: the list leaves out " + std::to_string(left_out) +
             (left_out == 1 ? " file whose name is" : " files whose names are") + " not UTF-8 on the server");
  }
}

void print_one(FileClient& client, const std::string& name, const FilesFlags& flags) {
  if (flags.partial) {
    const auto size = static_cast<unsigned long long>(client.partial(name));
    std::printf(flags.json ? "{\"offset\": %llu}\n" : "%llu\n", size);
    return;
  }
  const FileInfo file = client.stat(name);
  if (flags.json) {
    std::printf("%s\n", dump_json(value_of(file)).c_str());
  } else {
    std::printf("%s  %llu bytes  %s\n", printable(file.name, 4 * 255).c_str(),
                static_cast<unsigned long long>(file.size), time_text(file.mtime).c_str());
  }
}

// Every name by itself: a failure of one does not stop the others, and the first one tells the exit code.
int run(const FilesFlags& flags, const std::vector<std::string>& names,
        const std::function<void(FileClient&, const std::string&)>& work) {
  Endpoint endpoint;
  ClientOptions options;
  try {
    endpoint = Endpoint::parse(flags.address);
    options.timeout = parse_duration("--timeout", flags.timeout);
    options.check = check_interrupt;
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  FileClient client(endpoint, options);
  std::vector<Outcome> outcomes;
  for (const std::string& name : names) {
    Outcome outcome;
    outcome.name = name.empty() ? flags.address : name;
    try {
      work(client, name);
    } catch (const Interrupted&) {
      return interrupted;
    } catch (...) {
      note_call_failure(outcome);
      print_outcome(outcome, true);
    }
    outcomes.push_back(outcome);
    if (outcome.exit_code == cannot_connect) break;
  }
  return exit_code_of(outcomes);
}

CLI::App* add_command(CLI::App& app, const char* name, const char* description, FilesFlags& flags) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("address", flags.address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command->add_option("--timeout", flags.timeout, "For each answer, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  return command;
}

}  // namespace

void add_files(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<FilesFlags>();
  CLI::App* list = add_command(app, "ls", "List the files of a server", *flags);
  list->add_option("prefix", flags->prefix, "Only names that begin with it");
  list->add_flag("--long,-l", flags->details, "Size in bytes and time, too");
  list->add_flag("--json", flags->json, "A JSON array on stdout");
  list->callback([flags, &exit_code] {
    exit_code =
        run(*flags, {std::string()}, [&](FileClient& client, const std::string&) { print_list(client, *flags); });
  });
  CLI::App* stat = add_command(app, "stat", "Size and time of files of a server", *flags);
  stat->add_option("names", flags->names, "Names of files")->required();
  stat->add_flag("--partial", flags->partial, "Instead: the bytes that a cut-off put has left");
  stat->add_flag("--json", flags->json, "A JSON object for each, on stdout");
  stat->callback([flags, &exit_code] {
    exit_code = run(*flags, flags->names,
                    [&](FileClient& client, const std::string& name) { print_one(client, name, *flags); });
  });
  CLI::App* remove = add_command(app, "rm", "Remove files of a server", *flags);
  remove->add_option("names", flags->names, "Names of files")->required();
  remove->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  remove->callback([flags, &exit_code] {
    exit_code = run(*flags, flags->names, [&](FileClient& client, const std::string& name) {
      client.remove(name);
      if (!flags->quiet) std::fprintf(stderr, "%s  removed\n", printable(name).c_str());
    });
  });
}

}  // namespace framecall::cli
