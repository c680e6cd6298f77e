// What kind of server is there: before the first case.
#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "check/trial.hpp"
#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr auto greeting_time = milliseconds(200);  // for a server that speaks first
constexpr auto upload_time = milliseconds(300);    // for a server that has something against an upload
constexpr auto other_time = milliseconds(1000);    // at most, for an answer to another kind of length
constexpr auto sign_of_life = milliseconds(2000);  // at most, for an answer after a case that failed

constexpr const char* question = R"({"jsonrpc": "2.0", "id": 1, "method": "echo", "body_size": 5})";
constexpr const char* answer_hint =
    "see PROTOCOL.md, section 1: struct.pack('<i', len(header)) + header + body, and a server reads the same way";

class Probe {
 public:
  Probe(Target& target, Transcript& transcript) : target_(target), transcript_(transcript) {}

  void find_greeting() {
    Peer peer = connect();
    if (peer.something_comes(greeting_time)) target_.features.greeting = peer.input();
  }

  // True if an upload is stored, or at least not answered by an error or the end of the connection.
  bool takes_uploads() {
    ServerTrial trial(target_, transcript_, Clock::now() + target_.timeout);
    const Message upload = trial.upload("probe");
    try {
      Peer peer = trial.connect();
      peer.send(upload.bytes());
      if (peer.something_comes(upload_time)) {
        remember(peer.input());
        const std::optional<Frame> frame = peer.read_frame("an answer to an upload");
        if (!frame || frame->has("error")) return false;
      }
      peer.finish_sending();
      if (!peer.read_to_end("the end of the connection").empty()) return false;
      trial.check_stored(upload);
    } catch (const Failure&) {
      return false;
    }
    target_.features.uploads_seen = !target_.root.empty();
    return true;
  }

  // True if a call of `method` gets a reply; `result`: it was no error.
  bool answers(const char* method, bool& result) {
    ServerTrial trial(target_, transcript_, Clock::now() + target_.timeout);
    const Message call = trial.call("probe", {}, method);
    Peer peer = trial.connect();
    peer.send(call.bytes());
    try {
      const std::optional<Frame> frame = peer.read_frame("a reply");
      if (!frame || frame->has("result") == frame->has("error")) return false;
      result = frame->has("result");
      return frame->has("id");
    } catch (const Failure&) {
      remember(peer.input());
      return false;
    }
  }

  // An upload is taken for sure if a call behind it is answered.
  bool call_behind_upload() {
    ServerTrial trial(target_, transcript_, Clock::now() + target_.timeout);
    try {
      Peer peer = trial.connect();
      const Message messages[] = {trial.upload("probe"), trial.call("probe")};
      peer.send(messages[0].bytes() + messages[1].bytes());
      const std::optional<Frame> frame = peer.read_frame("a reply");
      return frame && frame->member("id") == parse_json(messages[1].id);
    } catch (const Failure&) {
      return false;
    }
  }

  // Another way to write the length that is answered; empty: none.
  std::string other_length() {
    const std::string header = question;
    const std::string little = prefix_of(static_cast<std::int64_t>(header.size()));
    const std::pair<std::string, const char*> formats[] = {
        {little, "'<i' (4 bytes, little-endian)"},
        {std::string(little.rbegin(), little.rend()), "'>i' (big-endian, also written '!i')"},
        {little + std::string(4, '\0'), "'<q' (8 bytes)"},
        {std::string(4, '\0') + std::string(little.rbegin(), little.rend()), "'>q' (8 bytes, big-endian)"}};
    for (const auto& [prefix, name] : formats) {
      if (prefix == encode_prefix(header.size(), target_.dialect.prefixes.front())) continue;
      Peer peer = connect();
      peer.send(prefix + header + "hello");
      if (!peer.something_comes(std::min(target_.timeout, other_time)) || peer.at_end()) continue;
      const std::string came = peer.read_rest(milliseconds(50));
      const bool reply = came.find("\"result\"") != std::string::npos || came.find("\"error\"") != std::string::npos;
      if (reply && came.find('{') == prefix.size()) return name;
    }
    return {};
  }

  // What came where a frame was due.
  const std::string& strange() const { return strange_; }

 private:
  Peer connect() {
    return {connect_to(target_.endpoint, target_.timeout), transcript_, Clock::now() + target_.timeout,
            target_.dialect.prefixes.front()};
  }
  void remember(const std::string& came) {
    if (strange_.empty()) strange_ = came;
  }

  Target& target_;
  Transcript& transcript_;
  std::string strange_;
};

// Why a server without calls and uploads cannot be tested.
void explain(Result& result, Probe& probe, const PrefixFormat& format) {
  const std::string other = probe.other_length();
  const bool taught = format == PrefixFormat();
  const std::string& strange = probe.strange();
  result.verdict = Verdict::fail;
  if (!other.empty()) {
    result.message = "the server answers frames whose length is " + other + ", not " +
                     (taught ? "the taught '<i'" : "that of the dialect: " + prefix_code(format));
    result.hint = taught ? "pack and unpack the length with '<i': 4 bytes, little-endian, signed"
                         : "write and read lengths as " + prefix_code(format);
    if (taught && other.starts_with("'>i'")) result.hint += "; or test it as it is: --dialect big-endian";
  } else if (strange.starts_with("HTTP/")) {
    result.message = "an HTTP server answers here: " + escaped(strange, 60);
    result.hint = answer_hint;
  } else if (strange.find("FILE_NAME") != std::string::npos || strange.find("ECHO") != std::string::npos ||
             strange.find("\"file_name\"") != std::string::npos) {
    result.message = "what is sent comes back: a raw echo server, without frames: " + escaped(strange, 80);
    result.hint = answer_hint;
  } else if (!strange.empty()) {
    result.message = "what comes back is no frame: " + escaped(strange, 80);
    result.hint = answer_hint;
  } else {
    result.message = "nothing here speaks frames: neither a call nor an upload has any effect";
    result.hint = answer_hint;
  }
}

void find_methods(Features& features, Probe& probe) {
  for (const char* method : {"echo", "rpc.ping", "upper", "rpc.discover"}) {
    bool result = false;
    if (!probe.answers(method, result)) {
      if (method == std::string_view("echo")) return;  // it answers no calls
      continue;
    }
    features.calls = true;
    if (result) features.methods.insert(method);
  }
}

}  // namespace

Result probe(Target& target, const std::vector<std::string>& speaks) {
  const auto start = Clock::now();
  const auto has = [&speaks](const char* what) {
    return speaks.empty() || std::find(speaks.begin(), speaks.end(), what) != speaks.end();
  };
  Result result;
  result.name = "framing/speaks-frames";
  result.what = "an upload, and calls of echo, rpc.ping, upper and rpc.discover: what has the server?";
  result.protocol = "1: a frame is a length of 4 bytes ('<i'), a JSON object, and the body";
  Transcript transcript;
  Probe probe(target, transcript);
  Features& features = target.features;
  try {
    probe.find_greeting();
    const bool silent = has("uploads") && probe.takes_uploads();
    if (has("calls")) find_methods(features, probe);
    features.uploads = silent && (features.uploads_seen || !features.calls || probe.call_behind_upload());
    if (silent && !features.calls && !features.uploads_seen && speaks.empty()) {
      // Silence looks like success: rule out the nearest relatives.
      if (!probe.other_length().empty()) features.uploads = false;
      if (features.uploads) {
        result.verdict = Verdict::warning;
        result.message =
            "no call is answered, and an upload is taken without a word, as by any program that only reads";
        result.hint = "--root DIR lets the tester look at the stored files";
      }
    }
    if (!features.calls && !features.uploads) explain(result, probe, target.dialect.prefixes.front());
  } catch (const Gone& gone) {
    if (transcript.lines().empty()) throw;  // nobody was ever there
    result.verdict = Verdict::fail;
    result.message = "the server takes no connections any more after this first frame: " + gone.why;
    result.hint =
        "a frame of another kind must not end the program: answer it, or end its connection. For a server that "
        "knows uploads only: --speaks uploads";
  } catch (const Failure& failure) {
    result.verdict = Verdict::fail;
    result.message = failure.came;
    result.hint = failure.hint;
  }
  result.transcript = transcript.lines();
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

bool responds(Target& target) {
  Transcript transcript;
  ServerTrial trial(target, transcript, Clock::now() + std::min(target.timeout, sign_of_life));
  try {
    Peer peer = trial.connect();
    peer.send((target.features.calls ? trial.call() : trial.upload()).bytes());
    if (!target.features.calls) peer.finish_sending();
    return peer.something_comes(std::min(target.timeout, sign_of_life)) && !peer.was_reset();
  } catch (const Failure&) {
    return false;
  }
}

}  // namespace framecall::cli::check
