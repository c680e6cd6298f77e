// What `framecall check` says about its cases: lines for people, JSON, JUnit XML.
#pragma once

#include <string>
#include <vector>

#include "check/case.hpp"
#include "framecall/wire/json.hpp"

namespace framecall::cli::check {

/// Collects results, and prints each as it comes, unless `json`.
class Report {
 public:
  Report(std::string subject, bool json, bool verbose) : subject_(std::move(subject)), json_(json), verbose_(verbose) {}

  void add(Result result);
  /// Why the run ends before its last case, and how many cases that leaves out.
  void stopped(std::string why, std::size_t not_run);
  /// Counts, or the whole as JSON. Throws std::runtime_error if stdout takes it not.
  void finish() const;
  /// Throws std::runtime_error if it cannot be written.
  void write_junit(const std::string& path) const;

  std::size_t count(Verdict verdict) const;
  bool failed() const { return count(Verdict::fail) > 0; }
  const std::vector<Result>& results() const { return results_; }

 private:
  Json summary() const;

  std::string subject_;
  bool json_, verbose_;
  std::vector<Result> results_;
  std::string stopped_;
  std::size_t not_run_ = 0;
};

}  // namespace framecall::cli::check
