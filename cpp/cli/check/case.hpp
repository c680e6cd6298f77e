// What a case of `framecall check` is, and what becomes of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace framecall::cli::check {

enum class Level : std::uint8_t { framing, upload, rpc, robust };
enum class Verdict : std::uint8_t {
  pass,
  warning,  ///< allowed, but unlike the taught form
  fail,
  skipped,  ///< the peer has not what the case is about
};

const char* name_of(Level level);
const char* name_of(Verdict verdict);

/// Thrown by a case that fails. Without a hint the one of the case counts.
struct Failure {
  std::string came;  ///< what happened instead, for people
  std::string hint;  ///< the likely line of code to mend
};
/// Thrown by a case about something that the peer turns out not to have.
struct Skip {
  std::string why;
};
/// Thrown when the peer cannot be reached any more.
struct Gone {
  std::string why;
};

/// What the peer has to have for a case, together.
enum Needs : unsigned {
  nothing = 0,
  calls = 1,     ///< it answers calls
  uploads = 2,   ///< it takes uploads
  bodies = 4,    ///< it has a method that gives the body back
  the_root = 8,  ///< we see the folder where it stores uploads
  taught = 16,   ///< it writes lengths as the taught scripts do
};

/// `Subject` is what the case works with: ServerTrial, or ClientTrial.
template <class Subject>
struct Case {
  const char* name;
  Level level;
  unsigned needs;
  const char* what;      ///< what is tried
  const char* protocol;  ///< what PROTOCOL.md says to it
  const char* hint;      ///< the likely line of code to mend
  void (*run)(Subject& subject);
};

/// One case that was run.
struct Result {
  std::string name;
  Level level = Level::framing;
  Verdict verdict = Verdict::pass;
  std::string what, protocol;
  std::string message;  ///< why it is no pass
  std::string hint;     ///< of a failure or a warning
  std::vector<std::string> transcript;
  double seconds = 0;
};

}  // namespace framecall::cli::check
