#include "check/report.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"
#include "terminal/terminal.hpp"

namespace framecall::cli::check {
namespace {

constexpr std::size_t width = 112;  // of a line of a failure, without its margin
constexpr const char* margin = "        ";

// `text` behind `label`, broken between words.
void append_paragraph(std::string& out, std::string_view label, std::string_view text) {
  std::string line = margin;
  line.append(label).append(10 - std::min<std::size_t>(label.size(), 9), ' ');
  const std::size_t indent = line.size();
  while (text.size() + indent > width + 8) {
    std::size_t cut = text.rfind(' ', width + 8 - indent);
    if (cut == std::string_view::npos || cut == 0) cut = width + 8 - indent;
    out.append(line).append(text.substr(0, cut)).append("\n");
    text.remove_prefix(cut);
    if (text.starts_with(' ')) text.remove_prefix(1);
    line.assign(indent, ' ');
  }
  out.append(line).append(text).append("\n");
}

// `transcript`: with all that went over the wire.
std::string block_of(const Result& result, bool transcript, bool hint) {
  std::string text;
  append_paragraph(text, "tried", result.what);
  for (const std::string& line : result.transcript) {
    if (transcript) append_paragraph(text, line.substr(0, 4), std::string_view(line).substr(6));
  }
  if (result.verdict == Verdict::pass) return text;
  append_paragraph(text, result.verdict == Verdict::fail ? "failed" : "noticed", result.message);
  append_paragraph(text, "protocol", "PROTOCOL.md, section " + result.protocol);
  if (hint && !result.hint.empty()) append_paragraph(text, "to mend", result.hint);
  return text;
}

std::string xml_text(std::string_view text) {
  std::string escaped_text;
  for (const char c : text) {
    switch (c) {
      case '&': escaped_text += "&amp;"; break;
      case '<': escaped_text += "&lt;"; break;
      case '>': escaped_text += "&gt;"; break;
      case '"': escaped_text += "&quot;"; break;
      case '\n': escaped_text += "&#10;"; break;
      default: escaped_text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped_text;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds);
  return text;
}

std::string plain_block(const Result& result) {
  std::string text;
  for (const std::string& line : result.transcript) text.append(line).append("\n");
  return text;
}

}  // namespace

const char* name_of(Level level) {
  switch (level) {
    case Level::framing: return "framing";
    case Level::upload: return "upload";
    case Level::rpc: return "rpc";
    case Level::robust: return "robust";
  }
  return "";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::warning: return "warning";
    case Verdict::fail: return "fail";
    case Verdict::skipped: return "skipped";
  }
  return "";
}

void Report::add(Result result) {
  results_.push_back(std::move(result));
  const Result& last = results_.back();
  if (json_) return;
  std::string text = name_of(last.verdict);
  text.append(8 - text.size(), ' ').append(last.name);
  if (last.verdict == Verdict::skipped) text.append("  (").append(last.message).append(")");
  text += '\n';
  const bool warning = last.verdict == Verdict::warning;
  const bool whole = last.verdict == Verdict::fail || (verbose_ && last.verdict != Verdict::skipped);
  // Warnings are often the same one many times.
  const bool new_hint = std::none_of(results_.begin(), results_.end() - 1,
                                     [&last](const Result& other) { return other.hint == last.hint; });
  if (whole || warning) text += block_of(last, whole, whole || new_hint);
  print(text);
}

void Report::stopped(std::string why, std::size_t not_run) {
  stopped_ = std::move(why);
  not_run_ = not_run;
  if (!json_) print("\n" + stopped_ + "\n");
}

std::size_t Report::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(results_.begin(), results_.end(), [verdict](const Result& one) { return one.verdict == verdict; }));
}

void Report::finish() const {
  if (!json_) {
    std::printf("\n%zu passed, %zu failed, %zu warnings, %zu skipped", count(Verdict::pass), count(Verdict::fail),
                count(Verdict::warning), count(Verdict::skipped));
    if (not_run_ > 0) std::printf(", %zu not run", not_run_);
    std::printf("\n");
  } else {
    std::printf("%s\n", dump_json(summary()).c_str());
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw std::runtime_error("cannot write to stdout");
}

Json Report::summary() const {
  Json cases = Json::array();
  for (const Result& one : results_) {
    Json item = {{"name", one.name},
                 {"level", name_of(one.level)},
                 {"verdict", name_of(one.verdict)},
                 {"tried", one.what},
                 {"protocol", one.protocol},
                 {"seconds", one.seconds},
                 {"transcript", one.transcript}};
    if (!one.message.empty()) item["message"] = printable(one.message, 2000);
    if (!one.hint.empty()) item["hint"] = one.hint;
    cases.push_back(std::move(item));
  }
  Json all = {{"subject", subject_},
              {"passed", count(Verdict::pass)},
              {"failed", count(Verdict::fail)},
              {"warnings", count(Verdict::warning)},
              {"skipped", count(Verdict::skipped)},
              {"not_run", not_run_},
              {"cases", std::move(cases)}};
  if (!stopped_.empty()) all["stopped"] = stopped_;
  return all;
}

void Report::write_junit(const std::string& path) const {
  double seconds = 0;
  for (const Result& one : results_) seconds += one.seconds;
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  text.append("  <testsuite name=\"framecall check\" hostname=\"").append(xml_text(subject_)).append("\" tests=\"");
  text.append(std::to_string(results_.size())).append("\" failures=\"").append(std::to_string(count(Verdict::fail)));
  text.append("\" errors=\"0\" skipped=\"").append(std::to_string(count(Verdict::skipped))).append("\" time=\"");
  text.append(seconds_text(seconds)).append("\">\n");
  for (const Result& one : results_) {
    const std::size_t slash = one.name.find('/');
    text.append("    <testcase classname=\"").append(one.name.substr(0, slash)).append("\" name=\"");
    text.append(xml_text(one.name)).append("\" time=\"").append(seconds_text(one.seconds)).append("\">\n");
    if (one.verdict == Verdict::fail) {
      text.append("      <failure message=\"").append(xml_text(one.message)).append("\">");
      text.append(xml_text("tried: " + one.what + "\n" + plain_block(one) + "PROTOCOL.md, section " + one.protocol +
                           "\nto mend: " + one.hint));
      text.append("</failure>\n");
    } else if (one.verdict == Verdict::skipped) {
      text.append("      <skipped message=\"").append(xml_text(one.message)).append("\"/>\n");
    } else if (one.verdict == Verdict::warning) {
      text.append("      <system-out>").append(xml_text("warning: " + one.message + "\n" + plain_block(one)));
      text.append("</system-out>\n");
    }
    text.append("    </testcase>\n");
  }
  text.append("  </testsuite>\n</testsuites>\n");
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(path + ": " + std::generic_category().message(errno));
}

}  // namespace framecall::cli::check
