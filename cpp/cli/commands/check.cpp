#include <fnmatch.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "check/child.hpp"
#include "check/client_trial.hpp"
#include "check/report.hpp"
#include "check/trial.hpp"
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli {
namespace check {
namespace {

constexpr auto start_time = milliseconds(20000);  // for a server that we start ourselves
constexpr auto just_now = milliseconds(200);      // for a program that is about to end
constexpr const char* probe_name = "framing/speaks-frames";
constexpr const char* first_client_case = "client/sends-frame";

struct CheckFlags {
  std::string address, listen, exec, junit, root, result = "null", timeout = "5", patience = "60", dialect = "default";
  std::vector<std::string> only, levels, speaks;
  bool list = false, json = false, verbose = false;
};

template <class Subject>
std::vector<const Case<Subject>*> joined(std::initializer_list<std::span<const Case<Subject>>> groups) {
  std::vector<const Case<Subject>*> all;
  for (const auto& group : groups) {
    for (const Case<Subject>& one : group) all.push_back(&one);
  }
  return all;
}

std::vector<const ServerCase*> all_server_cases() {
  return joined<ServerTrial>(
      {framing_cases(), json_cases(), upload_cases(), rpc_cases(), refusal_cases(), robust_cases()});
}
std::vector<const ClientCase*> all_client_cases() {
  return joined<ClientTrial>({client_request_cases(), client_reply_cases()});
}

bool chosen(const CheckFlags& flags, const std::string& name, Level level) {
  const auto matches = [&name](const std::string& glob) { return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0; };
  if (!flags.only.empty() && std::none_of(flags.only.begin(), flags.only.end(), matches)) return false;
  return flags.levels.empty() ||
         std::find(flags.levels.begin(), flags.levels.end(), name_of(level)) != flags.levels.end();
}

template <class Subject>
std::vector<const Case<Subject>*> selection(const CheckFlags& flags, std::vector<const Case<Subject>*> cases) {
  for (const std::string& glob : flags.only) {
    const bool probe =
        ::fnmatch(glob.c_str(), probe_name, 0) == 0 || ::fnmatch(glob.c_str(), first_client_case, 0) == 0;
    if (!probe && std::none_of(cases.begin(), cases.end(),
                               [&glob](const auto* one) { return ::fnmatch(glob.c_str(), one->name, 0) == 0; })) {
      throw std::invalid_argument("--only: no case is called " + glob + "; --list tells their names");
    }
  }
  std::erase_if(cases, [&flags](const auto* one) { return !chosen(flags, one->name, one->level); });
  return cases;
}

// Runs one case; Gone is left to the caller.
template <class Subject>
Result run_case(const Case<Subject>& one, Subject& subject, const Transcript& transcript) {
  Result result{one.name, one.level, Verdict::pass, one.what, one.protocol, {}, {}, {}, 0};
  const auto start = Clock::now();
  try {
    one.run(subject);
    if (!subject.warning().empty()) {
      result.verdict = Verdict::warning;
      result.message = subject.warning();
      result.hint = subject.warning_hint().empty() ? one.hint : subject.warning_hint();
    }
  } catch (const Failure& failure) {
    result.verdict = Verdict::fail;
    result.message = failure.came;
    result.hint = failure.hint.empty() ? one.hint : failure.hint;
  } catch (const Skip& skip) {
    result.verdict = Verdict::skipped;
    result.message = skip.why;
  }
  result.transcript = transcript.lines();
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

template <class Subject>
Result skipped(const Case<Subject>& one, std::string why) {
  return {one.name, one.level, Verdict::skipped, one.what, one.protocol, std::move(why), {}, {}, 0};
}

// Whether uploads of this dialect are those of PROTOCOL.md, but for the length.
bool has_taught_uploads(const Dialect& dialect) {
  return dialect.upload_form == Dialect::UploadForm::header &&
         upload_header(dialect, "a", 1) == upload_header(default_dialect(), "a", 1) && !dialect.before_body &&
         !dialect.after_body && !dialect.refused && !dialect.close_after_one;
}

// What is missing for a case; empty: nothing.
std::string missing(unsigned needs, bool has_calls, bool has_uploads, bool has_bodies, bool has_root,
                    bool is_taught = true) {
  if ((needs & taught) != 0 && !is_taught) return "about the taught length, which this dialect has not";
  if ((needs & calls) != 0 && !has_calls) return "there are no calls";
  if ((needs & uploads) != 0 && !has_uploads) {
    return is_taught ? "there are no uploads" : "there are no uploads of the taught form in this dialect";
  }
  if ((needs & bodies) != 0 && !has_bodies) return "no method gives the body back";
  if ((needs & the_root) != 0 && !has_root) return "--root tells where the server stores files";
  return {};
}

class ServerRun {
 public:
  ServerRun(const CheckFlags& flags, Report& report) : flags_(flags), report_(report) {
    target_.endpoint = Endpoint::parse(flags.address);
    any_port_ = target_.endpoint.port == 0 && !target_.endpoint.is_unix();
    if (any_port_ && flags.exec.empty()) throw std::invalid_argument("port 0 is for --exec alone");
    target_.timeout = parse_duration("--timeout", flags.timeout);
    target_.dialect = find_dialect(flags.dialect);
    speaks_ = spoken(target_.dialect, flags.speaks);
    target_.root = flags.root;
    if (!flags.root.empty() && !std::filesystem::is_directory(flags.root)) {
      throw std::invalid_argument("--root: no folder: " + flags.root);
    }
    cases_ = selection(flags, all_server_cases());
  }

  ~ServerRun() { sweep(target_); }
  ServerRun(const ServerRun&) = delete;

  /// Throws Gone if nobody is there.
  void run() {
    start_server();
    Result first = probe(target_, speaks_);
    const bool speaks = first.verdict != Verdict::fail;
    const bool survived = !speaks || lives();
    if (!survived && !child_) {
      first.verdict = Verdict::fail;
      first.message = "the server did not survive that it was asked a call";
      first.hint =
          "a frame of another kind must not end the program: answer it, or end its connection. A server that knows "
          "uploads alone: --speaks uploads";
    }
    const bool usable = first.verdict != Verdict::fail;
    report_.add(std::move(first));
    if (!survived && child_) start_server();
    if (!usable) {
      report_.stopped("There is nothing more to try.", cases_.size());
      return;
    }
    const Features& has = target_.features;
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      const ServerCase& one = *cases_[i];
      const std::string lacks = missing(one.needs, has.calls, has.uploads, has.gives_bodies_back(),
                                        !target_.root.empty(), target_.dialect.prefixes.front() == PrefixFormat());
      if (!lacks.empty()) {
        report_.add(skipped(one, lacks));
      } else if (!run_one(one, cases_.size() - i - 1)) {
        return;
      }
    }
  }

 private:
  // What a server of this dialect may be asked, of what the flag names.
  static std::vector<std::string> spoken(const Dialect& dialect, std::vector<std::string> speaks) {
    if (dialect.login != Dialect::Login::none) {
      throw std::invalid_argument("--dialect: \"" + dialect.name + "\" has a login, which check does not do");
    }
    const bool has_uploads = has_taught_uploads(dialect);
    if (dialect.calls && has_uploads) return speaks;
    const std::string only = dialect.calls ? "calls" : has_uploads ? "uploads" : "";
    if (only.empty() || (!speaks.empty() && std::find(speaks.begin(), speaks.end(), only) == speaks.end())) {
      throw std::invalid_argument("--dialect: \"" + dialect.name + "\" has " +
                                  (only.empty() ? "neither calls nor uploads" : "no other than " + only) +
                                  " of the form that check tests");
    }
    return {only};
  }

  // False if the run is over.
  bool run_one(const ServerCase& one, std::size_t left) {
    Result result;
    Transcript transcript;
    try {
      ServerTrial trial(target_, transcript, Clock::now() + target_.timeout);
      result = run_case(one, trial, transcript);
    } catch (const Gone& nobody) {
      result = {one.name,   one.level, Verdict::fail,      one.what, one.protocol,
                nobody.why, one.hint,  transcript.lines(), 0};
    }
    const bool untouched = result.transcript.empty() && !last_.empty();  // it was the one before
    const std::string why = look_after(one, result, untouched ? last_ : result.name);
    const bool over = !why.empty();
    if (child_ && over && child_->wait(Clock::now() + just_now)) {
      result.message.append("; it ended with status ").append(std::to_string(child_->status()));
      result.message.append(" and said: ").append(escaped(child_->output(300), 400));
    }
    report_.add(std::move(result));
    last_ = one.name;
    if (!over) return true;
    if (child_ && start_again(left)) return true;
    if (child_) return false;
    if (left > 0) report_.stopped("The run ends here: " + why + ". With --exec it would be started again.", left);
    return left == 0;
  }

  bool lives() {
    try {
      return responds(target_);
    } catch (const Gone&) {
      return false;
    }
  }

  // Why the server cannot be asked any more, after a case that was no pass; empty: it can.
  std::string look_after(const ServerCase& one, Result& result, const std::string& since) {
    if (result.verdict != Verdict::fail && result.verdict != Verdict::warning) return {};
    std::string why;
    try {
      if (!responds(target_)) why = "the server answers nobody any more since the case " + since;
    } catch (const Gone&) {
      why = "the server no longer accepts connections since the case " + since;
    }
    if (!why.empty() && result.verdict == Verdict::warning) {
      result.verdict = Verdict::fail;
      result.hint = one.hint;
    }
    if (!why.empty()) result.message.append("; ").append(why);
    return why;
  }

  bool start_again(std::size_t left) {
    try {
      start_server();
      return true;
    } catch (const Gone& gone) {
      report_.stopped(gone.why, left);
      return false;
    }
  }

  static std::uint16_t free_port(Endpoint endpoint) {
    endpoint.port = 0;
    return Listener(endpoint).endpoint().port;
  }

  void start_server() {
    if (flags_.exec.empty()) return;
    child_.reset();
    if (any_port_) target_.endpoint.port = free_port(target_.endpoint);
    child_.emplace(filled_in(flags_.exec, target_.endpoint, flags_.root));
    const auto deadline = Clock::now() + start_time;
    for (;;) {
      try {
        Transcript ignored;
        const Peer peer(connect_to(target_.endpoint, target_.timeout), ignored, deadline);
        return;
      } catch (const Gone& gone) {
        if (child_->ended())
          throw Gone{"--exec: the server ended at once, and said: " + escaped(child_->output(), 300)};
        if (Clock::now() > deadline) throw Gone{"--exec: the server does not listen: " + gone.why};
      }
      sleep_until(Clock::now() + milliseconds(10));
    }
  }

  const CheckFlags& flags_;
  Report& report_;
  Target target_;
  std::vector<const ServerCase*> cases_;
  std::vector<std::string> speaks_;
  std::optional<Child> child_;
  std::string last_;
  bool any_port_ = false;  // another one for each start: the former may still be in use for a while
};

class ClientRun {
 public:
  ClientRun(const CheckFlags& flags, Report& report)
      : flags_(flags), report_(report), cases_(selection(flags, all_client_cases())) {
    if (flags.dialect != "default") throw std::invalid_argument("--dialect is for servers, not with --listen");
    target_.command = flags.exec;
    target_.timeout = parse_duration("--timeout", flags.timeout);
    target_.patience = parse_duration("--patience", flags.patience);
    try {
      parse_json(flags.result);
    } catch (const ProtocolError& error) {
      throw std::invalid_argument(std::string("--result: ") + error.what());
    }
    target_.result = flags.result;
    if (cases_.empty() || std::string_view(cases_[0]->name) != first_client_case) {
      cases_.insert(cases_.begin(), client_request_cases().data());
    }
  }

  /// Throws Gone if nobody comes at all.
  void run() {
    Listener listener(Endpoint::parse(flags_.listen));
    target_.listener = &listener;
    std::fprintf(flags_.json ? stderr : stdout, "listening tcp %s\n", listener.endpoint().to_string().c_str());
    std::fflush(flags_.json ? stderr : stdout);
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      const ClientCase& one = *cases_[i];
      const std::string lacks = i == 0 ? "" : missing(one.needs, target_.calls, target_.uploads, true, true);
      if (!lacks.empty()) {
        report_.add(skipped(one, lacks));
        continue;
      }
      Transcript transcript;
      ClientTrial trial(target_, transcript);
      try {
        report_.add(run_case(one, trial, transcript));
      } catch (const Gone& gone) {
        if (i == 0) throw;
        report_.add(
            {one.name, one.level, Verdict::fail, one.what, one.protocol, gone.why, one.hint, transcript.lines(), 0});
        if (target_.command.empty()) {
          report_.stopped("Nobody connects any more.", cases_.size() - i - 1);
          return;
        }
      }
      target_.calls = target_.calls || trial.saw_call();
      target_.uploads = target_.uploads || trial.saw_upload();
      if (i == 0 && !target_.calls && !target_.uploads) {
        report_.stopped("Without a whole frame from the client there is nothing more to try.", cases_.size() - 1);
        return;
      }
    }
  }

 private:
  const CheckFlags& flags_;
  Report& report_;
  ClientTarget target_;
  std::vector<const ClientCase*> cases_;
};

template <class Subject>
void list(const std::vector<const Case<Subject>*>& cases) {
  for (const auto* one : cases) std::printf("%-30s %-8s %s\n", one->name, name_of(one->level), one->what);
}

int run(const CheckFlags& flags) {
  if (flags.list) {
    std::printf("%-30s %-8s %s\n", probe_name, "framing", "what the server has; always run first");
    list(all_server_cases());
    list(all_client_cases());
    return ok;
  }
  const bool listens = !flags.listen.empty();
  Report report(listens ? flags.listen : flags.address, flags.json, flags.verbose);
  std::optional<ServerRun> servers;
  std::optional<ClientRun> clients;
  try {
    if (listens == !flags.address.empty())
      throw std::invalid_argument("check: either HOST:PORT of a server, or --listen");
    listens ? void(clients.emplace(flags, report)) : void(servers.emplace(flags, report));
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  catch_interrupt();
  try {
    listens ? clients->run() : servers->run();
  } catch (const Gone& gone) {
    complain(gone.why);
    return cannot_connect;
  } catch (const Interrupted&) {
    report.finish();
    return interrupted;
  }
  report.finish();
  if (!flags.junit.empty()) report.write_junit(flags.junit);
  return report.failed() ? failed : ok;
}

}  // namespace
}  // namespace check

void add_check(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<check::CheckFlags>();
  CLI::App* command = app.add_subcommand("check", "Test a server, or a client, of this wire in any language");
  command->footer(
      "Examples: framecall check 127.0.0.1:8080 --root incoming\n"
      "          framecall check 127.0.0.1:0 --exec 'python3 server.py {port}' --junit report.xml\n"
      "          framecall check --listen 127.0.0.1:0 --exec 'python3 client.py {host} {port}'\n"
      "Each case is one line: pass, fail, warning (allowed, but unlike the taught form), skipped (the peer has not "
      "what\n"
      "the case is about). A failure tells what was tried and sent, what came, what PROTOCOL.md says, and which line "
      "of\n"
      "code is likely to be mended. Servers are asked echo, rpc.ping and upper, if they have them, and get uploads "
      "named\n"
      "framecall-check-...; with --root these are looked at and removed. With --listen the client connects once for "
      "each\n"
      "case, and does its one upload or call.\n"
      "Exit codes: 0 no case failed, 1 some did, 2 usage, 3 cannot connect.");
  command->add_option("address", flags->address, "HOST:PORT, [IPV6]:PORT or unix:PATH of the server to test");
  command->add_option("--listen", flags->listen, "HOST:PORT to wait at for the client to test; port 0 picks one");
  command->add_option(
      "--exec", flags->exec,
      "A shell command that starts the server (again, when a case has ended it), or for each case the "
      "client; {host}, {port} and {root} are filled in, and port 0 of the address is another free port for "
      "each start. Of a client the exit status is judged, too");
  command->add_flag("--list", flags->list, "All cases: name, level, what is tried");
  command->add_option("--only", flags->only, "The cases of this name or pattern (framing/*); may be repeated")
      ->allow_extra_args(false);
  command->add_option("--level", flags->levels, "The cases of these levels: framing, upload, rpc, robust")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"framing", "upload", "rpc", "robust"}));
  command->add_option("--speaks", flags->speaks, "What the server knows, calls or uploads, and is not to be asked")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"calls", "uploads"}));
  command
      ->add_option("--dialect", flags->dialect,
                   "How the server writes lengths: a name such as big-endian (see framecall dialects), or a TOML "
                   "file. Uploads are tested only in a dialect whose uploads are those of PROTOCOL.md otherwise")
      ->capture_default_str();
  command->add_option("--root", flags->root, "The folder where the server stores uploads");
  command->add_option("--result", flags->result, "What calls of a client are answered with, JSON")
      ->capture_default_str();
  command->add_option("--timeout", flags->timeout, "For each case, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
  command->add_option("--wait", flags->patience, "For a client that is not started by --exec, seconds")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "All results as one JSON object on stdout");
  command->add_option("--junit", flags->junit, "Write the results to this file as JUnit XML, too");
  command->add_flag("--verbose,-v", flags->verbose, "What went over the wire in cases that passed, too");
  command->callback([flags, &exit_code] { exit_code = check::run(*flags); });
}

}  // namespace framecall::cli
