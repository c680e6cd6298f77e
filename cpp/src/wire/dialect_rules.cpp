#include "wire/dialect_rules.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall {
namespace {

constexpr std::int64_t min_decimal_width = 3, max_decimal_width = 16;

constexpr std::array listed_operations = {Operation::upload, Operation::download,      Operation::list,
                                          Operation::login,  Operation::register_user, Operation::command,
                                          Operation::quit};

struct NamedList {
  std::string_view setting;
  std::vector<std::string>* list;
};

bool has(const std::vector<std::string>& list, std::string_view entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

// No entry stands in two lists: what the file gives is taken from the lists that it leaves out.
void keep_apart(const DialectDraft& draft, std::span<const NamedList> lists) {
  for (const NamedList& given : lists) {
    if (!draft.given(given.setting)) continue;
    for (const NamedList& other : lists) {
      const bool name_and_user = (given.setting == "keys.name" && other.setting == "keys.user") ||
                                 (given.setting == "keys.user" && other.setting == "keys.name");
      if (given.setting == other.setting || name_and_user) continue;  // a login is known by its password key
      for (const std::string& entry : *given.list) {
        if (!has(*other.list, entry)) continue;
        if (draft.given(other.setting)) {
          draft.fail(given.setting,
                     std::string("has ").append(quoted_value(entry)).append(", and so has ").append(other.setting));
        }
        std::erase(*other.list, entry);
      }
    }
  }
}

struct Rule {
  bool broken;
  std::string_view setting, message;
};

void check_rules(const DialectDraft& draft, std::span<const Rule> rules) {
  for (const Rule& rule : rules) {
    if (rule.broken) draft.fail(rule.setting, rule.message);
  }
}

void finish_prefixes(DialectDraft& draft) {
  using Kind = PrefixFormat::Kind;
  const bool decimal = draft.kind == Kind::decimal;
  const bool width_fits = decimal ? draft.width >= min_decimal_width && draft.width <= max_decimal_width
                                  : draft.width == 2 || draft.width == 4 || draft.width == 8;
  if (!width_fits) {
    draft.fail("prefix.width", std::string("is ")
                                   .append(std::to_string(draft.width))
                                   .append(!decimal ? ": 2, 4 or 8 for binary" : ": 3 .. 16 for decimal")
                                   .append(decimal && draft.width < min_decimal_width && draft.width > 0
                                               ? "; a refusal does not fit behind fewer digits"
                                               : ""));
  }
  if (decimal && draft.given("prefix.order")) draft.fail("prefix.order", "is there, and prefix.kind is \"decimal\"");
  draft.prefixes.clear();
  const auto add = [&](Kind kind, PrefixFormat::Order order, std::int64_t width) {
    PrefixFormat format;
    format.kind = kind;
    format.order = order;
    format.width = static_cast<std::uint8_t>(width);
    if (std::find(draft.prefixes.begin(), draft.prefixes.end(), format) == draft.prefixes.end()) {
      draft.prefixes.push_back(format);
    }
  };
  constexpr auto little = PrefixFormat::Order::little, big = PrefixFormat::Order::big;
  add(draft.kind, draft.order == DialectDraft::Order::big ? big : little, draft.width);
  if (draft.order == DialectDraft::Order::both) add(draft.kind, big, draft.width);
  if (!draft.detect) return;
  add(Kind::binary, little, 4);
  add(Kind::binary, big, 4);
  add(Kind::binary, big, 2);
  add(Kind::binary, little, 8);
  add(Kind::binary, big, 8);
  add(Kind::decimal, little, 4);
  add(Kind::decimal, little, 10);
}

// A raw login is a line; what comes behind it may be one, too.
void finish_login(DialectDraft& draft) {
  if (draft.login != Dialect::Login::text || draft.lines) return;
  if (draft.given("request.lines")) draft.fail("request.lines", "is false, and login.form is \"text\"");
  draft.lines = true;
}

// Keys are looked up in the header itself.
void check_keys(const DialectDraft& draft, const NamedList& keys) {
  for (const std::string& key : *keys.list) {
    if (key.find('.') == std::string::npos) continue;
    draft.fail(keys.setting, "has " + quoted_value(key) +
                                 ": keys of objects inside of the header are not looked up, so that a key " +
                                 "with a dot would never be found");
  }
}

void finish_keys(DialectDraft& draft) {
  const bool login = draft.login != Dialect::Login::none;
  if (login && !draft.given("keys.user")) draft.user_keys = {"username", "user", "name"};
  if (login && !draft.given("keys.password")) draft.password_keys = {"password", "pwd", "passwd"};
  const NamedList lists[] = {{"keys.name", &draft.name_keys},         {"keys.size", &draft.size_keys},
                             {"keys.checksum", &draft.checksum_keys}, {"keys.operation", &draft.operation_keys},
                             {"keys.user", &draft.user_keys},         {"keys.password", &draft.password_keys}};
  keep_apart(draft, lists);
  for (const NamedList& keys : lists) check_keys(draft, keys);
  const bool sums = draft.checksum_place == Dialect::ChecksumPlace::header;
  const Rule rules[] = {
      {draft.name_keys.empty(), "keys.name", "is empty: at least one key"},
      {draft.size_keys.empty(), "keys.size", "is empty: at least one key"},
      {sums && draft.checksum_keys.empty(), "checksum.place", "is \"header\", and keys.checksum is empty"},
      {login && draft.user_keys.empty(), "login.form", "wants users, and keys.user is empty"},
      {login && draft.password_keys.empty(), "login.form", "wants passwords, and keys.password is empty"},
  };
  check_rules(draft, rules);

  const std::vector<std::string> call_words = {"method", "result", "error", "item"};
  for (const NamedList& keys : lists) {
    for (const std::string& key : *keys.list) {
      if (draft.calls && has(call_words, key)) {
        draft.fail(keys.setting, "has " + quoted_value(key) + ", which makes a frame a call: set header.calls = false");
      }
    }
  }
  for (const std::string& key : draft.extra_keys) {
    if (draft.calls && has(call_words, key)) {
      draft.fail("keys.extra", "has " + quoted_value(key) + ", which makes a frame a call: set header.calls = false");
    }
    for (const NamedList& keys : lists) {
      const bool written = keys.list == &draft.name_keys || keys.list == &draft.size_keys ||
                           (keys.list == &draft.checksum_keys && sums) ||
                           (keys.list == &draft.operation_keys && draft.upload_form == Dialect::UploadForm::operation);
      if (written && has(*keys.list, key)) {
        draft.fail("keys.extra",
                   std::string("has ").append(quoted_value(key)).append(", and so has ").append(keys.setting));
      }
    }
  }
  if (has(draft.size_keys, draft.command_size_key)) return;
  if (draft.given("keys.command_size")) {
    draft.fail("keys.command_size", "is " + quoted_value(draft.command_size_key) + ", which is not in keys.size");
  }
  draft.command_size_key = draft.size_keys.front();
}

void finish_words(DialectDraft& draft) {
  const NamedList lists[] = {{"words.upload", &draft.word_list(Operation::upload)},
                             {"words.download", &draft.word_list(Operation::download)},
                             {"words.list", &draft.word_list(Operation::list)},
                             {"words.login", &draft.word_list(Operation::login)},
                             {"words.register", &draft.word_list(Operation::register_user)},
                             {"words.command", &draft.word_list(Operation::command)},
                             {"words.quit", &draft.word_list(Operation::quit)}};
  keep_apart(draft, lists);
  const bool says_lines =
      draft.lines || draft.ask_form == Dialect::AskForm::line || draft.upload_form == Dialect::UploadForm::line;
  for (const NamedList& words : lists) {
    for (const std::string& word : *words.list) {
      if (says_lines && word.find_first_of(" \t\r\n") != std::string::npos) {
        draft.fail(words.setting, "has " + quoted_value(word) + ": a word of a line ends at a blank");
      }
    }
  }
  for (const Operation operation : listed_operations) {
    for (const std::string& word : draft.word_list(operation)) draft.words.emplace_back(word, operation);
  }
}

// A frame that the dialect sends as it stands has to fit behind each of its lengths.
void check_answers(const DialectDraft& draft) {
  std::size_t room = largest_max_header_size;
  for (const PrefixFormat& prefix : draft.prefixes) room = std::min(room, longest_header(prefix));
  const std::pair<std::string_view, const Answer*> answers[] = {{"answer.before_body", &draft.before_body},
                                                                {"answer.after_body", &draft.after_body},
                                                                {"answer.refused", &draft.refused},
                                                                {"answer.not_found", &draft.not_found},
                                                                {"answer.list", &draft.list},
                                                                {"answer.login_ok", &draft.login_ok},
                                                                {"answer.login_failed", &draft.login_failed},
                                                                {"answer.message", &draft.message}};
  for (const auto& [setting, answer] : answers) {
    if (answer->kind != Answer::Kind::frame || fill_in(*answer, {}).size() <= room) continue;
    draft.fail(setting, "is a frame of " + std::to_string(fill_in(*answer, {}).size()) +
                            " bytes: the length in front of it announces at most " + std::to_string(room));
  }
}

void check_conversation(const DialectDraft& draft) {
  const bool no_upload = word_for(draft, Operation::upload).empty();
  const bool no_download = word_for(draft, Operation::download).empty();
  const auto upload = draft.upload_form;
  const Rule rules[] = {
      {upload == Dialect::UploadForm::operation && draft.operation_keys.empty(), "request.upload",
       "is \"operation\", and keys.operation is empty"},
      {upload == Dialect::UploadForm::operation && no_upload, "request.upload",
       "is \"operation\", and words.upload is empty"},
      {upload == Dialect::UploadForm::line && no_upload, "request.upload", "is \"line\", and words.upload is empty"},
      {draft.ask_form == Dialect::AskForm::line && no_download, "request.ask",
       "is \"line\", and words.download is empty"},
      {draft.bare_names && !draft.lines, "request.bare_names", "is true, and request.lines is not"},
      {draft.checksum_check == Dialect::ChecksumCheck::reject && draft.checksum_place == Dialect::ChecksumPlace::none,
       "checksum.check", "is \"reject\", and checksum.place is \"none\""},
      {draft.login != Dialect::Login::none && !draft.login_ok, "login.form",
       "wants a login, and answer.login_ok is not there: nobody would know that it was good"},
  };
  check_rules(draft, rules);
}

}  // namespace

void apply_rules(DialectDraft& draft) {
  finish_prefixes(draft);
  finish_login(draft);
  finish_keys(draft);
  finish_words(draft);
  check_conversation(draft);
  check_answers(draft);
}

}  // namespace framecall
