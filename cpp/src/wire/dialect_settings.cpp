#include "wire/dialect_settings.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framecall/detail/suggestion.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/json.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#define TOML_ASSERT(expression) static_assert(true)  // some texts fail them that it then refuses as it should
#include <toml++/toml.h>

namespace framecall {
namespace {

constexpr std::int64_t max_pause_ms = 60'000;

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

template <auto member>
void read_flag(const Value& value, DialectDraft& draft) {
  draft.*member = value.flag();
}

template <auto member>
void read_list(const Value& value, DialectDraft& draft) {
  draft.*member = value.list();
}

template <auto member, const auto& choices>
void read_choice(const Value& value, DialectDraft& draft) {
  draft.*member = value.one_of(choices);
}

template <Operation operation>
void read_words(const Value& value, DialectDraft& draft) {
  draft.word_list(operation) = value.list();
}

template <auto member, const auto& words>
void read_answer(const Value& value, DialectDraft& draft) {
  draft.*member = value.answer(words);
}

void read_summary(const Value& value, DialectDraft& draft) {
  draft.summary = value.text();
  if (printable(draft.summary, draft.summary.size()) != draft.summary) value.fail_as("one line of plain text");
}

void read_width(const Value& value, DialectDraft& draft) {
  draft.width = value.number(INT64_MAX, "2, 4 or 8 for binary, 3 .. 16 for decimal");
}

void read_pause(const Value& value, DialectDraft& draft) {
  draft.pause_ms =
      static_cast<std::uint32_t>(value.number(max_pause_ms, "an integer 0 .. " + std::to_string(max_pause_ms)));
}

void read_command_size(const Value& value, DialectDraft& draft) { draft.command_size_key = value.text(); }

void read_extra(const Value& value, DialectDraft& draft) {
  if (value.text().empty()) return;
  const Json object = value.object();
  for (const auto& [key, member] : object.items()) draft.extra_keys.push_back(key);
  const std::string text = dump_json(object);
  draft.extra_members = text.substr(1, text.size() - 2);
}

constexpr Choice<PrefixFormat::Kind> kinds[] = {{"binary", PrefixFormat::Kind::binary},
                                                {"decimal", PrefixFormat::Kind::decimal}};
constexpr Choice<DialectDraft::Order> orders[] = {
    {"little", DialectDraft::Order::little}, {"big", DialectDraft::Order::big}, {"auto", DialectDraft::Order::both}};
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
  void (*read)(const Value&, DialectDraft&);
};

constexpr Setting settings[] = {
    {"", "summary", read_summary},
    {"prefix", "kind", read_choice<&DialectDraft::kind, kinds>},
    {"prefix", "width", read_width},
    {"prefix", "order", read_choice<&DialectDraft::order, orders>},
    {"prefix", "detect", read_flag<&DialectDraft::detect>},
    {"prefix", "zero", read_choice<&DialectDraft::zero_prefix, zeros>},
    {"header", "escape_non_ascii", read_flag<&DialectDraft::escape_non_ascii>},
    {"header", "byte_order_mark", read_flag<&DialectDraft::byte_order_mark>},
    {"header", "calls", read_flag<&DialectDraft::calls>},
    {"keys", "name", read_list<&DialectDraft::name_keys>},
    {"keys", "size", read_list<&DialectDraft::size_keys>},
    {"keys", "checksum", read_list<&DialectDraft::checksum_keys>},
    {"keys", "operation", read_list<&DialectDraft::operation_keys>},
    {"keys", "user", read_list<&DialectDraft::user_keys>},
    {"keys", "password", read_list<&DialectDraft::password_keys>},
    {"keys", "command_size", read_command_size},
    {"keys", "extra", read_extra},
    {"request", "upload", read_choice<&DialectDraft::upload_form, upload_forms>},
    {"request", "ask", read_choice<&DialectDraft::ask_form, ask_forms>},
    {"request", "lines", read_flag<&DialectDraft::lines>},
    {"request", "bare_names", read_flag<&DialectDraft::bare_names>},
    {"request", "last_path_part", read_flag<&DialectDraft::last_path_part>},
    {"words", "upload", read_words<Operation::upload>},
    {"words", "download", read_words<Operation::download>},
    {"words", "list", read_words<Operation::list>},
    {"words", "login", read_words<Operation::login>},
    {"words", "register", read_words<Operation::register_user>},
    {"words", "command", read_words<Operation::command>},
    {"words", "quit", read_words<Operation::quit>},
    {"answer", "before_body", read_answer<&DialectDraft::before_body, no_words>},
    {"answer", "after_body", read_answer<&DialectDraft::after_body, no_words>},
    {"answer", "refused", read_answer<&DialectDraft::refused, no_words>},
    {"answer", "not_found", read_answer<&DialectDraft::not_found, not_found_words>},
    {"answer", "list", read_answer<&DialectDraft::list, list_words>},
    {"answer", "login_ok", read_answer<&DialectDraft::login_ok, no_words>},
    {"answer", "login_failed", read_answer<&DialectDraft::login_failed, no_words>},
    {"answer", "message", read_answer<&DialectDraft::message, message_words>},
    {"checksum", "place", read_choice<&DialectDraft::checksum_place, places>},
    {"checksum", "check", read_choice<&DialectDraft::checksum_check, checks>},
    {"login", "form", read_choice<&DialectDraft::login, logins>},
    {"session", "one_file", read_flag<&DialectDraft::one_file>},
    {"session", "close_after_one", read_flag<&DialectDraft::close_after_one>},
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
void read_table(const toml::table& entries, std::string_view table, DialectDraft& draft) {
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

}  // namespace

void read_settings(std::string_view text, DialectDraft& draft) {
  toml::table file;
  try {
    file = toml::parse(text, draft.source);
  } catch (const toml::parse_error& error) {
    fail_at(draft.source, error.source().begin.line, error.description());
  }
  read_table(file, "", draft);
}

}  // namespace framecall
