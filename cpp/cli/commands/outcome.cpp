#include "commands/outcome.hpp"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "framecall/client_options.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"

namespace framecall::cli {

void note_failure(Outcome& outcome, bool connected, const char* peer) {
  try {
    throw;
  } catch (const RemoteError& error) {
    outcome.error = std::string("refused by the ").append(peer).append(": ").append(error.what());
    if (error.code() == static_cast<int>(ErrorCode::not_found)) outcome.error = error.what();
    outcome.error += " (" + std::to_string(error.code()) + ")";
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

void note_call_failure(Outcome& outcome) {
  try {
    throw;
  } catch (const RemoteError& error) {
    outcome.error = std::string("refused by the server: ") + error.what() + " (" + std::to_string(error.code()) + ")";
    if (!error.data().empty()) outcome.error += ", data: " + error.data();
    const bool late = error.code() == static_cast<int>(ErrorCode::deadline_exceeded);
    outcome.exit_code = late ? timed_out : refused_by_peer;
  } catch (const std::filesystem::filesystem_error& error) {
    outcome.error = error.path1().string() + ": " + error.code().message();
    outcome.exit_code = failed;
  } catch (const UnavailableError& error) {  // there was a connection
    outcome.error = error.what();
    outcome.exit_code = failed;
  } catch (const std::system_error& error) {
    outcome.error = error.what();
    outcome.exit_code = error.code() == std::errc::timed_out ? timed_out : cannot_connect;
  } catch (const ProtocolError& error) {
    outcome.error = error.what();
    if (outcome.error.find("prefix.order = \"big\"") != std::string::npos) {
      outcome.error += "; the flag --dialect big-endian does that";
    }
    outcome.exit_code = failed;
  } catch (const std::exception& error) {
    outcome.error = error.what();
    outcome.exit_code = failed;
  }
}

void print_outcome(const Outcome& outcome, bool quiet) {
  if (!outcome.error.empty()) {
    const bool named = outcome.error.substr(0, outcome.error.find(": ")).ends_with(outcome.name);
    complain(named ? outcome.error : outcome.name + ": " + outcome.error);
    return;
  }
  if (!outcome.confirmed.value_or(true)) {
    complain(outcome.name +
             ": sent; the receiver did not confirm it by closing, so whether it stored the file is not known");
  } else if (!quiet) {
    std::fprintf(stderr, "%s  %s  %.2f s  %s/s\n", printable(outcome.name).c_str(),
                 size_text(static_cast<double>(outcome.size)).c_str(), outcome.seconds,
                 size_text(static_cast<double>(outcome.size) / outcome.seconds).c_str());
  }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print_summary(const std::vector<Outcome>& outcomes, double seconds, const char* count_key) {
  Json files = Json::array();
  std::uint64_t count = 0, bytes = 0;
  for (const Outcome& outcome : outcomes) {
    Json file = {
        {"name", outcome.name}, {"size", outcome.size}, {"seconds", outcome.seconds}, {"ok", outcome.error.empty()}};
    if (outcome.error.empty()) {
      if (outcome.confirmed) file["confirmed"] = *outcome.confirmed;
      ++count;
      bytes += outcome.size;
    } else {
      file["error"] = outcome.error;
    }
    files.push_back(std::move(file));
  }
  const Json summary = {{count_key, count}, {"bytes", bytes}, {"seconds", seconds}, {"files", std::move(files)}};
  std::printf("%s\n", dump_json(summary).c_str());
}

int exit_code_of(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    if (outcome.exit_code != ok) return outcome.exit_code;
  }
  return ok;
}

}  // namespace framecall::cli
