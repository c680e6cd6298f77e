#include "framecall/wire/dialect_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/detail/suggestion.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/json.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#define TOML_ASSERT(expression) static_assert(true)  // some texts fail them that it then refuses as it should
#include <toml++/toml.h>

namespace framecall {

// Name and text of the shipped dialects; CMake makes the definition from cpp/dialects/*.toml.
std::span<const std::pair<std::string_view, std::string_view>> shipped_texts();

namespace {

constexpr std::size_t max_file_size = 1 << 20;
constexpr std::int64_t max_pause_ms = 60'000;
constexpr std::int64_t min_decimal_width = 3, max_decimal_width = 16;

std::string quoted_value(std::string_view text) { return std::string("\"").append(printable(text, 60)).append("\""); }

[[noreturn]] void fail_at(std::string_view source, std::uint32_t line, std::string_view message) {
  std::string text(source);
  if (line != 0) text.append(":").append(std::to_string(line));
  throw std::invalid_argument(text.append(": ").append(message));
}

// As it stands in the file, for messages.
std::string shown(const toml::node& node) {
  if (const auto text = node.value_exact<std::string_view>()) return quoted_value(*text);
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return node.is_floating_point() ? "a real number" : "a date or time";
}

template <class Enum>
struct Choice {
  std::string_view word;
  Enum value;
};

// One value of the file, with its name and place.
class Value {
 public:
  Value(const toml::node& node, std::string name, std::string_view source, std::uint32_t line)
      : node_(node), name_(std::move(name)), source_(source), line_(line) {}

  [[noreturn]] void fail(std::string_view text) const {
    fail_at(source_, line_, printable(name_, 60).append(" ").append(text));
  }
  [[noreturn]] void fail_as(std::string_view expected) const {
    fail(std::string("is ").append(shown(node_)).append(": ").append(expected));
  }

  bool flag() const {
    const auto value = node_.value_exact<bool>();
    if (!value) fail_as("true or false");
    return *value;
  }

  // 0 .. max.
  std::int64_t number(std::int64_t max, std::string_view expected) const {
    const auto value = node_.value_exact<std::int64_t>();
    if (!value || *value < 0 || *value > max) fail_as(expected);
    return *value;
  }

  std::string text() const {
    const auto value = node_.value_exact<std::string>();
    if (!value) fail_as("a string in quotes");
    return *value;
  }

  std::vector<std::string> list() const {
    if (!node_.is_array()) fail_as("a list of strings");
    std::vector<std::string> list;
    for (const toml::node& node : *node_.as_array()) {
      const auto entry = node.value_exact<std::string>();
      if (!entry || entry->empty()) fail("has " + shown(node) + " in its list: a string in quotes, not an empty one");
      if (std::find(list.begin(), list.end(), *entry) != list.end()) fail("has " + quoted_value(*entry) + " twice");
      list.push_back(*entry);
    }
    return list;
  }

  template <class Enum, std::size_t count>
  Enum one_of(const Choice<Enum> (&choices)[count]) const {
    const auto word = node_.value_exact<std::string_view>();
    std::string words;
    for (std::size_t i = 0; i < count; ++i) {
      if (word == choices[i].word) return choices[i].value;
      words.append(i == 0 ? "" : i + 1 < count ? ", " : " or ").append(choices[i].word);
    }
    fail_as(words);
  }

  // A JSON object, from its text.
  Json object() const {
    Json object;
    try {
      object = parse_json(text());
    } catch (const ProtocolError& error) {
      fail(std::string("is ").append(error.what()));
    }
    if (!object.is_object()) fail("is " + quoted_value(text()) + ": a JSON object, {...}");
    return object;
  }

  // One of `words`, or a text, or a frame.
  Answer answer(std::span<const Choice<Answer::Kind>> words) const {
    Answer answer;
    std::string expected;
    const auto word = node_.value_exact<std::string_view>();
    for (const auto& choice : words) {
      answer.kind = choice.value;
      if (word == choice.word) return answer;
      expected.append(quoted_value(choice.word)).append(", ");
    }
    const toml::table* table = node_.as_table();
    if (table == nullptr || table->size() != 1) fail_as(expected + "{ text = \"...\" } or { frame = '{...}' }");
    const auto entry = table->begin();
    const toml::key& key = entry->first;
    const toml::node& node = entry->second;
    const Value content(node, std::string(name_).append(".").append(key.str()), source_, key.source().begin.line);
    static constexpr std::string_view forms[] = {"text", "frame"};
    if (key.str() != "text" && key.str() != "frame") {
      content.fail("is no setting: text or frame" + suggestion(key.str(), forms));
    }
    answer.kind = key.str() == "text" ? Answer::Kind::text : Answer::Kind::frame;
    answer.content = content.text();
    if (answer.content.empty()) content.fail("is empty: leave the setting out for no answer");
    if (answer.kind == Answer::Kind::frame) content.object();
    return answer;
  }

 private:
  const toml::node& node_;
  std::string name_;
  std::string_view source_;
  std::uint32_t line_;
};

// --- settings --------------------------------------------------------------------------------------------------------

enum class Order : std::uint8_t { little, big, both };

constexpr std::array listed_operations = {Operation::upload, Operation::download,      Operation::list,
                                          Operation::login,  Operation::register_user, Operation::command,
                                          Operation::quit};

// What a file says so far; it begins with what it may leave out.
struct Draft : Dialect {
  explicit Draft(std::string_view source) : source(source) {
    name = std::filesystem::path(source).filename().string();
    if (name.ends_with(".toml")) name.resize(name.size() - 5);
    summary.clear();
    zero_prefix = ZeroPrefix::end;
    byte_order_mark = true;
    name_keys = {"file_name", "filename", "name", "fileName", "fname", "key"};
    size_keys = {"file_size", "file_siz", "filesize", "total_size", "size",
                 "data_size", "fileSize", "fsize",    "data_len"};
    checksum_keys = {"md5", "file_md5", "fmd5", "filename_md5", "md5value", "MD5", "hash", "checksum"};
    last_path_part = true;
    word_list(Operation::upload) = {"put", "upload"};
    word_list(Operation::download) = {"get", "download"};
    word_list(Operation::list) = {"ls", "dir", "list"};
    word_list(Operation::login) = {"login", "auth"};
    word_list(Operation::register_user) = {"register"};
    word_list(Operation::command) = {"cmd", "command"};
    word_list(Operation::quit) = {"quit", "quite", "exit", "q", "stop"};
  }

  std::vector<std::string>& word_list(Operation operation) { return word_lists[static_cast<std::size_t>(operation)]; }
  bool given(std::string_view setting) const { return lines_given.contains(setting); }
  [[noreturn]] void fail(std::string_view setting, std::string_view text) const {
    const auto line = lines_given.find(setting);
    fail_at(source, line != lines_given.end() ? line->second : 0, std::string(setting).append(" ").append(text));
  }

  std::string_view source;
  std::map<std::string, std::uint32_t, std::less<>> lines_given;  // setting -> its line
  PrefixFormat::Kind kind = PrefixFormat::Kind::binary;
  std::int64_t width = 4;
  Order order = Order::little;
  bool detect = false;
  std::vector<std::string> extra_keys;
  std::array<std::vector<std::string>, 8> word_lists;  // by operation
};

template <auto member>
void read_flag(const Value& value, Draft& draft) {
  draft.*member = value.flag();
}

template <auto member>
void read_list(const Value& value, Draft& draft) {
  draft.*member = value.list();
}

template <auto member, const auto& choices>
void read_choice(const Value& value, Draft& draft) {
  draft.*member = value.one_of(choices);
}

template <Operation operation>
void read_words(const Value& value, Draft& draft) {
  draft.word_list(operation) = value.list();
}

template <auto member, const auto& words>
void read_answer(const Value& value, Draft& draft) {
  draft.*member = value.answer(words);
}

void read_summary(const Value& value, Draft& draft) {
  draft.summary = value.text();
  if (printable(draft.summary, draft.summary.size()) != draft.summary) value.fail_as("one line of plain text");
}

void read_width(const Value& value, Draft& draft) {
  draft.width = value.number(INT64_MAX, "2, 4 or 8 for binary, 3 .. 16 for decimal");
}

void read_pause(const Value& value, Draft& draft) {
  draft.pause_ms =
      static_cast<std::uint32_t>(value.number(max_pause_ms, "an integer 0 .. " + std::to_string(max_pause_ms)));
}

void read_command_size(const Value& value, Draft& draft) { draft.command_size_key = value.text(); }

void read_extra(const Value& value, Draft& draft) {
  if (value.text().empty()) return;
  const Json object = value.object();
  for (const auto& [key, member] : object.items()) draft.extra_keys.push_back(key);
  const std::string text = dump_json(object);
  draft.extra_members = text.substr(1, text.size() - 2);
}

constexpr Choice<PrefixFormat::Kind> kinds[] = {{"binary", PrefixFormat::Kind::binary},
                                                {"decimal", PrefixFormat::Kind::decimal}};
constexpr Choice<Order> orders[] = {{"little", Order::little}, {"big", Order::big}, {"auto", Order::both}};
constexpr Choice<Dialect::ZeroPrefix> zeros[] = {{"refuse", Dialect::ZeroPrefix::refuse},
                                                 {"end", Dialect::ZeroPrefix::end},
                                                 {"not_found", Dialect::ZeroPrefix::not_found}};
constexpr Choice<Dialect::UploadForm> upload_forms[] = {{"header", Dialect::UploadForm::header},
                                                        {"operation", Dialect::UploadForm::operation},
                                                        {"line", Dialect::UploadForm::line}};
constexpr Choice<Dialect::AskForm> ask_forms[] = {
    {"frame", Dialect::AskForm::frame}, {"line", Dialect::AskForm::line}, {"name", Dialect::AskForm::name}};
constexpr Choice<Dialect::ChecksumPlace> places[] = {{"none", Dialect::ChecksumPlace::none},
                                                     {"header", Dialect::ChecksumPlace::header},
                                                     {"trailer", Dialect::ChecksumPlace::trailer}};
constexpr Choice<Dialect::ChecksumCheck> checks[] = {{"warn", Dialect::ChecksumCheck::warn},
                                                     {"reject", Dialect::ChecksumCheck::reject},
                                                     {"off", Dialect::ChecksumCheck::off}};
constexpr Choice<Dialect::Login> logins[] = {
    {"none", Dialect::Login::none}, {"frame", Dialect::Login::frame}, {"text", Dialect::Login::text}};
constexpr std::array<Choice<Answer::Kind>, 0> no_words = {};
constexpr std::array not_found_words = {Choice<Answer::Kind>{"zero_size", Answer::Kind::zero_size},
                                        Choice<Answer::Kind>{"zero_prefix", Answer::Kind::zero_prefix},
                                        Choice<Answer::Kind>{"close", Answer::Kind::close}};
constexpr std::array list_words = {Choice<Answer::Kind>{"body", Answer::Kind::body}};
constexpr std::array message_words = {Choice<Answer::Kind>{"echo", Answer::Kind::echo}};

struct Setting {
  std::string_view table, key;
  void (*read)(const Value&, Draft&);
};

constexpr Setting settings[] = {
    {"", "summary", read_summary},
    {"prefix", "kind", read_choice<&Draft::kind, kinds>},
    {"prefix", "width", read_width},
    {"prefix", "order", read_choice<&Draft::order, orders>},
    {"prefix", "detect", read_flag<&Draft::detect>},
    {"prefix", "zero", read_choice<&Draft::zero_prefix, zeros>},
    {"header", "escape_non_ascii", read_flag<&Draft::escape_non_ascii>},
    {"header", "byte_order_mark", read_flag<&Draft::byte_order_mark>},
    {"header", "calls", read_flag<&Draft::calls>},
    {"keys", "name", read_list<&Draft::name_keys>},
    {"keys", "size", read_list<&Draft::size_keys>},
    {"keys", "checksum", read_list<&Draft::checksum_keys>},
    {"keys", "operation", read_list<&Draft::operation_keys>},
    {"keys", "user", read_list<&Draft::user_keys>},
    {"keys", "password", read_list<&Draft::password_keys>},
    {"keys", "command_size", read_command_size},
    {"keys", "extra", read_extra},
    {"request", "upload", read_choice<&Draft::upload_form, upload_forms>},
    {"request", "ask", read_choice<&Draft::ask_form, ask_forms>},
    {"request", "lines", read_flag<&Draft::lines>},
    {"request", "bare_names", read_flag<&Draft::bare_names>},
    {"request", "last_path_part", read_flag<&Draft::last_path_part>},
    {"words", "upload", read_words<Operation::upload>},
    {"words", "download", read_words<Operation::download>},
    {"words", "list", read_words<Operation::list>},
    {"words", "login", read_words<Operation::login>},
    {"words", "register", read_words<Operation::register_user>},
    {"words", "command", read_words<Operation::command>},
    {"words", "quit", read_words<Operation::quit>},
    {"answer", "before_body", read_answer<&Draft::before_body, no_words>},
    {"answer", "after_body", read_answer<&Draft::after_body, no_words>},
    {"answer", "refused", read_answer<&Draft::refused, no_words>},
    {"answer", "not_found", read_answer<&Draft::not_found, not_found_words>},
    {"answer", "list", read_answer<&Draft::list, list_words>},
    {"answer", "login_ok", read_answer<&Draft::login_ok, no_words>},
    {"answer", "login_failed", read_answer<&Draft::login_failed, no_words>},
    {"answer", "message", read_answer<&Draft::message, message_words>},
    {"checksum", "place", read_choice<&Draft::checksum_place, places>},
    {"checksum", "check", read_choice<&Draft::checksum_check, checks>},
    {"login", "form", read_choice<&Draft::login, logins>},
    {"session", "one_file", read_flag<&Draft::one_file>},
    {"session", "close_after_one", read_flag<&Draft::close_after_one>},
    {"session", "pause_ms", read_pause},
};

// The settings of a table, or of the file itself.
std::vector<std::string_view> known_in(std::string_view table) {
  std::vector<std::string_view> known;
  for (const Setting& setting : settings) {
    const std::string_view word = table.empty() && !setting.table.empty() ? setting.table : setting.key;
    if ((setting.table != table && !table.empty()) || (!known.empty() && word == known.back())) continue;
    known.push_back(word);
  }
  return known;
}

// For a word that is none of `known`.
std::string no_setting(std::string_view word, std::span<const std::string_view> known) {
  std::string text = "is no setting: ";
  for (const std::string_view& one : known) text.append(&one == known.data() ? "" : ", ").append(one);
  return text.append(suggestion(word, known));
}

// `table` is a table's name, or empty for the file itself, whose keys are the tables too.
void read_table(const toml::table& entries, std::string_view table, Draft& draft) {
  for (const auto& [key, node] : entries) {
    std::string name(table);
    name.append(table.empty() ? "" : ".").append(key.str());
    const Value value(node, name, draft.source, key.source().begin.line);
    const bool is_table = std::any_of(std::begin(settings), std::end(settings), [&](const Setting& setting) {
      return table.empty() && !setting.table.empty() && setting.table == key.str();
    });
    if (is_table) {
      if (!node.is_table()) value.fail_as("a table, [" + name + "]");
      read_table(*node.as_table(), name, draft);
      continue;
    }
    const auto* setting = std::find_if(std::begin(settings), std::end(settings),
                                       [&](const Setting& one) { return one.table == table && one.key == key.str(); });
    if (setting == std::end(settings)) {
      value.fail(no_setting(key.str(), known_in(table)));
    }
    draft.lines_given.emplace(name, key.source().begin.line);
    setting->read(value, draft);
  }
}

// --- settings that go together ---------------------------------------------------------------------------------------

struct NamedList {
  std::string_view setting;
  std::vector<std::string>* list;
};

bool has(const std::vector<std::string>& list, std::string_view entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

// No entry stands in two lists: what the file gives is taken from the lists that it leaves out.
void keep_apart(const Draft& draft, std::span<const NamedList> lists) {
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

void check_rules(const Draft& draft, std::span<const Rule> rules) {
  for (const Rule& rule : rules) {
    if (rule.broken) draft.fail(rule.setting, rule.message);
  }
}

void finish_prefixes(Draft& draft) {
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
  add(draft.kind, draft.order == Order::big ? big : little, draft.width);
  if (draft.order == Order::both) add(draft.kind, big, draft.width);
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
void finish_login(Draft& draft) {
  if (draft.login != Dialect::Login::text || draft.lines) return;
  if (draft.given("request.lines")) draft.fail("request.lines", "is false, and login.form is \"text\"");
  draft.lines = true;
}

// Keys are looked up in the header itself.
void check_keys(const Draft& draft, const NamedList& keys) {
  for (const std::string& key : *keys.list) {
    if (key.find('.') == std::string::npos) continue;
    draft.fail(keys.setting, "has " + quoted_value(key) +
                                 ": keys of objects inside of the header are not looked up, so that a key " +
                                 "with a dot would never be found");
  }
}

void finish_keys(Draft& draft) {
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

void finish_words(Draft& draft) {
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
void check_answers(const Draft& draft) {
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

void check_conversation(const Draft& draft) {
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

std::string read_file(const std::filesystem::path& path) {
  const auto fail = [&] { throw SystemError(errno, std::generic_category(), path.string()); };
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (!file) fail();
  std::string text(max_file_size + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) fail();
  if (text.size() > max_file_size) throw std::invalid_argument(path.string() + ": more than 1 MiB is no dialect");
  return text;
}

const std::pair<std::string_view, std::string_view>* find_shipped(std::string_view name) {
  for (const auto& shipped : shipped_texts()) {
    if (shipped.first == name) return &shipped;
  }
  return nullptr;
}

Dialect shipped_dialect(const std::pair<std::string_view, std::string_view>& shipped) {
  if (shipped.first == default_dialect().name) return default_dialect();
  return parse_dialect(shipped.second, std::string(shipped.first).append(".toml"));
}

[[noreturn]] void fail_unknown(std::string_view name, std::string_view but) {
  std::string text = quoted_value(name).append(" is ").append(but);
  const char* separator = ": ";
  std::vector<std::string_view> names;
  for (const auto& shipped : shipped_texts()) {
    text.append(separator).append(shipped.first);
    separator = ", ";
    names.push_back(shipped.first);
  }
  throw std::invalid_argument(text.append(suggestion(name, names)));
}

}  // namespace

Dialect parse_dialect(std::string_view text, std::string_view source) {
  toml::table file;
  try {
    file = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    fail_at(source, error.source().begin.line, error.description());
  }
  Draft draft(source);
  read_table(file, "", draft);
  finish_prefixes(draft);
  finish_login(draft);
  finish_keys(draft);
  finish_words(draft);
  check_conversation(draft);
  check_answers(draft);
  return Dialect(std::move(draft));
}

Dialect load_dialect(const std::filesystem::path& path) { return parse_dialect(read_file(path), path.string()); }

std::vector<Dialect> shipped_dialects() {
  std::vector<Dialect> dialects;
  for (const auto& shipped : shipped_texts()) dialects.push_back(shipped_dialect(shipped));
  return dialects;
}

std::string shipped_dialect_text(std::string_view name) {
  const auto* shipped = find_shipped(name);
  if (shipped == nullptr) fail_unknown(name, "none of the shipped dialects");
  return std::string(shipped->second);
}

Dialect find_dialect(const std::string& name_or_path) {
  if (const auto* shipped = find_shipped(name_or_path)) return shipped_dialect(*shipped);
  std::error_code ignored;
  if (std::filesystem::status(name_or_path, ignored).type() == std::filesystem::file_type::not_found) {
    fail_unknown(name_or_path, "neither a file nor one of the shipped dialects");
  }
  return load_dialect(name_or_path);
}

}  // namespace framecall
