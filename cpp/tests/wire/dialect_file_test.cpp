#include "framecall/wire/dialect_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "framecall/wire/header.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::dialect_file_test {
namespace {

std::string text_of(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& entry : list) text.append(text.empty() ? "" : " ").append(entry);
  return text;
}

std::string text_of(const std::vector<PrefixFormat>& prefixes) {
  std::string text;
  for (const PrefixFormat& prefix : prefixes) {
    const char* order = prefix.order == PrefixFormat::Order::big ? "big " : "little ";
    text.append(text.empty() ? "" : ", ").append(prefix.kind == PrefixFormat::Kind::decimal ? "decimal " : order);
    text.append(std::to_string(prefix.width));
  }
  return text;
}

std::string text_of(const std::vector<std::pair<std::string, Operation>>& words) {
  static constexpr const char* names[] = {"message", "upload",   "download", "list",
                                          "login",   "register", "command",  "quit"};
  std::string text;
  for (const auto& [word, operation] : words) {
    text.append(text.empty() ? "" : " ").append(word).append(":").append(names[static_cast<std::size_t>(operation)]);
  }
  return text;
}

std::string text_of(const Answer& answer) {
  static constexpr const char* names[] = {"none", "text", "frame", "echo", "body", "zero_size", "zero_prefix", "close"};
  const std::string kind = names[static_cast<std::size_t>(answer.kind)];
  return answer.content.empty() ? kind : kind + " " + answer.content;
}

std::string text_of(bool flag) { return flag ? "true" : "false"; }

template <class Enum>
std::string number_of(Enum value) {
  return std::to_string(static_cast<int>(value));
}

std::string line(std::string_view name, std::string_view value) {
  return std::string(name).append(" = ").append(value);
}

// A line for every field but name and summary; enumerations as their place.
std::vector<std::string> fields(const Dialect& dialect) {
  return {
      line("prefixes", text_of(dialect.prefixes)),
      line("zero_prefix", number_of(dialect.zero_prefix)),
      line("escape_non_ascii", text_of(dialect.escape_non_ascii)),
      line("byte_order_mark", text_of(dialect.byte_order_mark)),
      line("calls", text_of(dialect.calls)),
      line("name_keys", text_of(dialect.name_keys)),
      line("size_keys", text_of(dialect.size_keys)),
      line("checksum_keys", text_of(dialect.checksum_keys)),
      line("operation_keys", text_of(dialect.operation_keys)),
      line("user_keys", text_of(dialect.user_keys)),
      line("password_keys", text_of(dialect.password_keys)),
      line("extra_members", dialect.extra_members),
      line("command_size_key", dialect.command_size_key),
      line("upload_form", number_of(dialect.upload_form)),
      line("ask_form", number_of(dialect.ask_form)),
      line("lines", text_of(dialect.lines)),
      line("bare_names", text_of(dialect.bare_names)),
      line("words", text_of(dialect.words)),
      line("last_path_part", text_of(dialect.last_path_part)),
      line("before_body", text_of(dialect.before_body)),
      line("after_body", text_of(dialect.after_body)),
      line("refused", text_of(dialect.refused)),
      line("not_found", text_of(dialect.not_found)),
      line("list", text_of(dialect.list)),
      line("login_ok", text_of(dialect.login_ok)),
      line("login_failed", text_of(dialect.login_failed)),
      line("message", text_of(dialect.message)),
      line("checksum_place", number_of(dialect.checksum_place)),
      line("checksum_check", number_of(dialect.checksum_check)),
      line("login", number_of(dialect.login)),
      line("one_file", text_of(dialect.one_file)),
      line("close_after_one", text_of(dialect.close_after_one)),
      line("pause_ms", std::to_string(dialect.pause_ms)),
  };
}

Dialect parsed(const std::string& text) { return parse_dialect(text, "my.toml"); }

std::vector<std::string> differences(const Dialect& dialect, const Dialect& from) {
  std::vector<std::string> lines;
  const std::vector<std::string> before = fields(from);
  for (const std::string& line : fields(dialect)) {
    if (std::find(before.begin(), before.end(), line) == before.end()) lines.push_back(line);
  }
  return lines;
}

// What a text changes.
std::vector<std::string> changes(const std::string& text) {
  try {
    return differences(parsed(text), parsed(""));
  } catch (const std::invalid_argument& error) {
    return {error.what()};
  }
}

std::string error_of(const std::string& text) {
  try {
    parsed(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

using Lines = std::vector<std::string>;

const std::string default_words =
    "put:upload upload:upload get:download download:download ls:list dir:list list:list login:login auth:login "
    "register:register cmd:command command:command quit:quit quite:quit exit:quit q:quit stop:quit";

TEST(DialectFile, an_empty_text_is_the_taught_form_with_many_aliases) {
  const Dialect dialect = parsed("");
  EXPECT_EQ(dialect.name, "my");
  EXPECT_EQ(dialect.summary, "");
  const Lines expected = {
      "zero_prefix = 1",
      "byte_order_mark = true",
      "name_keys = file_name filename name fileName fname key",
      "size_keys = file_size file_siz filesize total_size size data_size fileSize fsize data_len",
      "checksum_keys = md5 file_md5 fmd5 filename_md5 md5value MD5 hash checksum",
      line("words", default_words),
      "last_path_part = true",
  };
  EXPECT_EQ(differences(dialect, default_dialect()), expected);
  EXPECT_EQ(upload_header(dialect, "a.txt", 6), upload_header(default_dialect(), "a.txt", 6));
}

TEST(DialectFile, each_setting_changes_its_field) {
  const struct {
    std::string text;
    Lines changed;
  } rows[] = {
      {"[prefix]\nkind = \"binary\"\nwidth = 4\norder = \"little\"\ndetect = false\nzero = \"end\"", {}},
      {"prefix.width = 2", {"prefixes = little 2"}},
      {"prefix.width = 8", {"prefixes = little 8"}},
      {"prefix = { order = \"big\" }", {"prefixes = big 4"}},
      {"prefix.order = \"auto\"", {"prefixes = little 4, big 4"}},
      {"prefix = { order = \"auto\", width = 2 }", {"prefixes = little 2, big 2"}},
      {"prefix.kind = \"decimal\"", {"prefixes = decimal 4"}},
      {"prefix = { kind = \"decimal\", width = 3 }", {"prefixes = decimal 3"}},
      {"prefix = { kind = \"decimal\", width = 16 }", {"prefixes = decimal 16"}},
      {"prefix.detect = true", {"prefixes = little 4, big 4, big 2, little 8, big 8, decimal 4, decimal 10"}},
      {"prefix = { detect = true, order = \"big\", width = 8 }",
       {"prefixes = big 8, little 4, big 4, big 2, little 8, decimal 4, decimal 10"}},
      {"prefix = { detect = true, kind = \"decimal\", width = 6 }",
       {"prefixes = decimal 6, little 4, big 4, big 2, little 8, big 8, decimal 4, decimal 10"}},
      {"prefix = { detect = true, order = \"auto\", width = 2 }",
       {"prefixes = little 2, big 2, little 4, big 4, little 8, big 8, decimal 4, decimal 10"}},
      {"prefix.zero = \"refuse\"", {"zero_prefix = 0"}},
      {"prefix.zero = \"not_found\"", {"zero_prefix = 2"}},
      {"header.escape_non_ascii = false", {"escape_non_ascii = false"}},
      {"header.byte_order_mark = false", {"byte_order_mark = false"}},
      {"header.calls = false", {"calls = false"}},
      {"keys.name = [\"b\", \"a\"]", {"name_keys = b a"}},
      {"keys.size = [\"n\", \"total_size\"]", {"size_keys = n total_size"}},
      {"keys.size = [\"n\", \"m\"]", {"size_keys = n m", "command_size_key = n"}},
      {"keys.checksum = []", {"checksum_keys = "}},
      {"keys.operation = [\"task\", \"cmd\"]", {"operation_keys = task cmd"}},
      {"keys.user = [\"u\"]\nkeys.password = [\"p\"]", {"user_keys = u", "password_keys = p"}},
      {"keys.command_size = \"data_len\"", {"command_size_key = data_len"}},
      {"keys.extra = ''", {}},
      {"keys.extra = '{}'", {}},
      {"keys.extra = '{\"md5\":\"xxdxxx\",\"n\" : [1,{}], \"\u00e9\": null}'",
       {"extra_members = \"md5\": \"xxdxxx\", \"n\": [1, {}], \"\\u00e9\": null"}},
      {"keys.operation = [\"cmd\"]\nrequest.upload = \"operation\"", {"operation_keys = cmd", "upload_form = 1"}},
      {"request.upload = \"line\"", {"upload_form = 2"}},
      {"request.ask = \"line\"", {"ask_form = 1"}},
      {"request.ask = \"name\"", {"ask_form = 2"}},
      {"request.lines = true", {"lines = true"}},
      {"request = { lines = true, bare_names = true }", {"lines = true", "bare_names = true"}},
      {"request.last_path_part = false", {"last_path_part = false"}},
      {"answer.before_body = { text = \"go\\n\" }", {"before_body = text go\n"}},
      {"answer.before_body = { frame = '{\"status\": 200}' }", {"before_body = frame {\"status\": 200}"}},
      {"[answer.after_body]\ntext = \"200\"", {"after_body = text 200"}},
      {"[answer.refused]\nframe = '{\"error\": \"$message\"}'", {"refused = frame {\"error\": \"$message\"}"}},
      {"answer.not_found = \"zero_size\"", {"not_found = zero_size"}},
      {"answer.not_found = \"zero_prefix\"", {"not_found = zero_prefix"}},
      {"answer.not_found = \"close\"", {"not_found = close"}},
      {"answer.not_found = { frame = '{\"name\": \"$name\"}' }", {"not_found = frame {\"name\": \"$name\"}"}},
      {"answer.list = \"body\"", {"list = body"}},
      {"answer.list = { frame = '{\"files\": \"$files\"}' }", {"list = frame {\"files\": \"$files\"}"}},
      {"answer.list = { text = '$files' }", {"list = text $files"}},
      {"answer.login_ok.text = \"ok\"\nanswer.login_failed.text = \"no\"",
       {"login_ok = text ok", "login_failed = text no"}},
      {"answer.message = \"echo\"", {"message = echo"}},
      {"answer.message = { text = \"?\" }", {"message = text ?"}},
      {"checksum.place = \"header\"", {"checksum_place = 1"}},
      {"checksum = { place = \"trailer\", check = \"reject\" }", {"checksum_place = 2", "checksum_check = 1"}},
      {"checksum.check = \"off\"", {"checksum_check = 2"}},
      {"login.form = \"frame\"\nanswer.login_ok.text = \"ok\"",
       {"user_keys = username user name", "password_keys = password pwd passwd", "login_ok = text ok", "login = 1"}},
      {"login.form = \"text\"\nanswer.login_ok.text = \"ok\"\nkeys.user = [\"u\"]\nkeys.password = [\"p\"]",
       {"user_keys = u", "password_keys = p", "lines = true", "login_ok = text ok", "login = 2"}},
      {"session.one_file = false", {"one_file = false"}},
      {"session.close_after_one = true", {"close_after_one = true"}},
      {"session.pause_ms = 60000", {"pause_ms = 60000"}},
  };
  for (const auto& row : rows) EXPECT_EQ(changes(row.text), row.changed) << row.text;
  EXPECT_EQ(parsed("summary = \"你好\"").summary, "你好");
}

TEST(DialectFile, the_first_word_of_a_list_is_the_one_that_is_sent) {
  const Dialect dialect = parsed(
      "[words]\nquit = [\"bye\"]\ncommand = []\nlist = [\"dir\", \"ls\"]\nupload = [\"send\", \"put\"]\n"
      "login = []\nregister = [\"new\"]\ndownload = [\"fetch\"]\n");
  EXPECT_EQ(text_of(dialect.words), "send:upload put:upload fetch:download dir:list ls:list new:register bye:quit");
  EXPECT_EQ(word_for(dialect, Operation::list), "dir");
  EXPECT_EQ(word_for(dialect, Operation::login), "");
}

TEST(DialectFile, what_a_file_gives_is_taken_from_what_it_leaves_out) {
  EXPECT_EQ(changes("keys.name = [\"hash\", \"fsize\"]"),
            (Lines{"name_keys = hash fsize",
                   "size_keys = file_size file_siz filesize total_size size data_size fileSize data_len",
                   "checksum_keys = md5 file_md5 fmd5 filename_md5 md5value MD5 checksum"}));
  EXPECT_EQ(changes("keys.operation = [\"key\"]"),
            (Lines{"name_keys = file_name filename name fileName fname", "operation_keys = key"}));
  const Dialect dialect = parsed("words.upload = [\"q\", \"cmd\"]");
  EXPECT_EQ(word_for(dialect, Operation::command), "command");
  EXPECT_EQ(read_line("q a.txt", dialect).operation, Operation::upload);
  EXPECT_EQ(
      std::count_if(dialect.words.begin(), dialect.words.end(), [](const auto& word) { return word.first == "q"; }), 1);
  // A login is known by its password: the user may have the key of a file's name.
  EXPECT_EQ(changes("keys = { user = [\"name\"], password = [\"p\"] }"),
            (Lines{"user_keys = name", "password_keys = p"}));
}

TEST(DialectFile, mistakes_in_a_value_are_named_with_their_place) {
  const struct {
    std::string text, error;
  } rows[] = {
      // Tables and keys.
      {"prefx = 1",
       "my.toml:1: prefx is no setting: summary, prefix, header, keys, request, words, answer, checksum, login, "
       "session; did you mean \"prefix\"?"},
      {"[sessions]\n",
       "my.toml:1: sessions is no setting: summary, prefix, header, keys, request, words, answer, "
       "checksum, login, session; did you mean \"session\"?"},
      {"# x\n[prefix]\nwidht = 2",
       "my.toml:3: prefix.widht is no setting: kind, width, order, detect, zero; did you mean \"width\"?"},
      {"[words]\nupload = []\nput = []",
       "my.toml:3: words.put is no setting: upload, download, list, login, register, command, quit"},
      {"\nkeys.\"a\\u001bb\" = 1",
       "my.toml:2: keys.a\\x1bb is no setting: name, size, checksum, operation, user, "
       "password, command_size, extra"},
      {"prefix = 4", "my.toml:1: prefix is 4: a table, [prefix]"},
      {"[[prefix]]\nwidth = 4", "my.toml:1: prefix is a list: a table, [prefix]"},
      {"[summary]", "my.toml:1: summary is a table: a string in quotes"},
      // Types.
      {"summary = 5", "my.toml:1: summary is 5: a string in quotes"},
      {"summary = \"a\\nb\"", "my.toml:1: summary is \"a\\x0ab\": one line of plain text"},
      {"[prefix]\n\nwidth = \"4\"", "my.toml:3: prefix.width is \"4\": 2, 4 or 8 for binary, 3 .. 16 for decimal"},
      {"prefix.width = 4.0", "my.toml:1: prefix.width is a real number: 2, 4 or 8 for binary, 3 .. 16 for decimal"},
      {"prefix.detect = 1", "my.toml:1: prefix.detect is 1: true or false"},
      {"prefix.detect = 2000-01-01", "my.toml:1: prefix.detect is a date or time: true or false"},
      {"header.calls = \"yes\"", "my.toml:1: header.calls is \"yes\": true or false"},
      {"keys.name = \"file\"", "my.toml:1: keys.name is \"file\": a list of strings"},
      {"keys.name = [\"a\", 5]", "my.toml:1: keys.name has 5 in its list: a string in quotes, not an empty one"},
      {"keys.name = [\"\"]", "my.toml:1: keys.name has \"\" in its list: a string in quotes, not an empty one"},
      {"keys.name = [[\"a\"]]", "my.toml:1: keys.name has a list in its list: a string in quotes, not an empty one"},
      {"keys.name = [\"a\",\n\"b\", \"a\"]", "my.toml:1: keys.name has \"a\" twice"},
      {"keys.command_size = []", "my.toml:1: keys.command_size is a list: a string in quotes"},
      {"session.pause_ms = -1", "my.toml:1: session.pause_ms is -1: an integer 0 .. 60000"},
      {"session.pause_ms = 60001", "my.toml:1: session.pause_ms is 60001: an integer 0 .. 60000"},
      // Words.
      {"prefix.kind = \"text\"", "my.toml:1: prefix.kind is \"text\": binary or decimal"},
      {"prefix.order = true", "my.toml:1: prefix.order is true: little, big or auto"},
      {"prefix.zero = \"Refuse\"", "my.toml:1: prefix.zero is \"Refuse\": refuse, end or not_found"},
      {"request.upload = \"\"", "my.toml:1: request.upload is \"\": header, operation or line"},
      {"request.ask = \"x\"", "my.toml:1: request.ask is \"x\": frame, line or name"},
      {"checksum.place = \"x\"", "my.toml:1: checksum.place is \"x\": none, header or trailer"},
      {"checksum.check = \"x\"", "my.toml:1: checksum.check is \"x\": warn, reject or off"},
      {"login.form = \"x\"", "my.toml:1: login.form is \"x\": none, frame or text"},
      {"login.form = \"" + std::string(100, 'x') + "\"",
       "my.toml:1: login.form is \"" + std::string(60, 'x') + "...\": none, frame or text"},
      // Widths.
      {"#\nprefix.width = 3", "my.toml:2: prefix.width is 3: 2, 4 or 8 for binary"},
      {"prefix.width = 0", "my.toml:1: prefix.width is 0: 2, 4 or 8 for binary"},
      {"prefix.width = 260", "my.toml:1: prefix.width is 260: 2, 4 or 8 for binary"},
      {"prefix = { width = 17, kind = \"decimal\" }", "my.toml:1: prefix.width is 17: 3 .. 16 for decimal"},
      {"prefix = { width = 0, kind = \"decimal\" }", "my.toml:1: prefix.width is 0: 3 .. 16 for decimal"},
      {"[prefix]\nkind = \"decimal\"\nwidth = 2",
       "my.toml:3: prefix.width is 2: 3 .. 16 for decimal; a refusal does not fit behind fewer digits"},
      // JSON.
      {"keys.extra = '{\"a\": }'", "my.toml:1: keys.extra is not JSON: expecting a value at byte 6"},
      {"keys.extra = '[1]'", "my.toml:1: keys.extra is \"[1]\": a JSON object, {...}"},
      {"[answer]\nlist = { frame = '{' }",
       "my.toml:2: answer.list.frame is not JSON: expecting a key in double quotes at byte 1"},
      {"[answer.list]\nframe = '\"$files\"'", "my.toml:2: answer.list.frame is \"\"$files\"\": a JSON object, {...}"},
      // Answers.
      {"answer.list = \"echo\"",
       "my.toml:1: answer.list is \"echo\": \"body\", { text = \"...\" } or { frame = '{...}' }"},
      {"answer.message = \"body\"",
       "my.toml:1: answer.message is \"body\": \"echo\", { text = \"...\" } or { frame = '{...}' }"},
      {"answer.before_body = \"zero_size\"",
       "my.toml:1: answer.before_body is \"zero_size\": { text = \"...\" } or { frame = '{...}' }"},
      {"answer.after_body = 200", "my.toml:1: answer.after_body is 200: { text = \"...\" } or { frame = '{...}' }"},
      {"answer.login_ok = true", "my.toml:1: answer.login_ok is true: { text = \"...\" } or { frame = '{...}' }"},
      {"answer.login_failed = \"close\"",
       "my.toml:1: answer.login_failed is \"close\": { text = \"...\" } or { frame = '{...}' }"},
      {"answer.not_found = \"echo\"",
       "my.toml:1: answer.not_found is \"echo\": \"zero_size\", \"zero_prefix\", \"close\", { text = \"...\" } or { "
       "frame "
       "= '{...}' }"},
      {"answer.list = {}", "my.toml:1: answer.list is a table: \"body\", { text = \"...\" } or { frame = '{...}' }"},
      {"answer.list = { text = \"a\", frame = '{}' }",
       "my.toml:1: answer.list is a table: \"body\", { text = \"...\" } or { frame = '{...}' }"},
      {"answer.list = { txt = \"a\" }",
       "my.toml:1: answer.list.txt is no setting: text or frame; did you mean \"text\"?"},
      {"answer.list = { text = 5 }", "my.toml:1: answer.list.text is 5: a string in quotes"},
      {"answer.list = { text = \"\" }", "my.toml:1: answer.list.text is empty: leave the setting out for no answer"},
  };
  for (const auto& row : rows) EXPECT_EQ(error_of(row.text), row.error) << row.text;
}

TEST(DialectFile, settings_that_contradict_each_other_are_refused) {
  const struct {
    std::string text, error;
  } rows[] = {
      {"[prefix]\norder = \"little\"\nkind = \"decimal\"",
       "my.toml:2: prefix.order is there, and prefix.kind is \"decimal\""},
      {"keys.name = []", "my.toml:1: keys.name is empty: at least one key"},
      {"\nkeys.size = []", "my.toml:2: keys.size is empty: at least one key"},
      {"keys.name = [\"a\"]\nkeys.size = [\"b\", \"a\"]", "my.toml:1: keys.name has \"a\", and so has keys.size"},
      {"keys.operation = [\"a\"]\nkeys.checksum = [\"a\"]",
       "my.toml:2: keys.checksum has \"a\", and so has keys.operation"},
      {"keys.user = [\"a\"]\nkeys.password = [\"a\"]", "my.toml:1: keys.user has \"a\", and so has keys.password"},
      {"keys.name = [\"a\"]\nkeys.password = [\"a\"]", "my.toml:1: keys.name has \"a\", and so has keys.password"},
      {"[words]\nquit = [\"q\"]\nlist = [\"q\"]", "my.toml:3: words.list has \"q\", and so has words.quit"},
      {"keys.operation = [\"method\"]",
       "my.toml:1: keys.operation has \"method\", which makes a frame a call: set header.calls = false"},
      {"keys.size = [\"item\"]",
       "my.toml:1: keys.size has \"item\", which makes a frame a call: set header.calls = false"},
      {"header.calls = false\nkeys.operation = [\"method\"]", "no error"},
      {"keys.extra = '{\"error\": 0}'",
       "my.toml:1: keys.extra has \"error\", which makes a frame a call: set header.calls = false"},
      {"header.calls = false\nkeys.extra = '{\"error\": 0}'", "no error"},
      {"keys.extra = '{\"filename\": 0}'", "my.toml:1: keys.extra has \"filename\", and so has keys.name"},
      {"keys.extra = '{\"data_len\": 0}'", "my.toml:1: keys.extra has \"data_len\", and so has keys.size"},
      {"checksum.place = \"header\"\nkeys.extra = '{\"md5\": 0}'",
       "my.toml:2: keys.extra has \"md5\", and so has keys.checksum"},
      {"checksum.place = \"trailer\"\nkeys.extra = '{\"md5\": 0}'", "no error"},
      {"keys.operation = [\"cmd\"]\nkeys.extra = '{\"cmd\": \"put\"}'", "no error"},
      {"keys.operation = [\"cmd\"]\nkeys.extra = '{\"cmd\": \"put\"}'\nrequest.upload = \"operation\"",
       "my.toml:2: keys.extra has \"cmd\", and so has keys.operation"},
      {"keys.command_size = \"n\"", "my.toml:1: keys.command_size is \"n\", which is not in keys.size"},
      {"request.upload = \"operation\"", "my.toml:1: request.upload is \"operation\", and keys.operation is empty"},
      {"keys.operation = [\"cmd\"]\nrequest.upload = \"operation\"\nwords.upload = []",
       "my.toml:2: request.upload is \"operation\", and words.upload is empty"},
      {"request.upload = \"line\"\nwords.upload = []",
       "my.toml:1: request.upload is \"line\", and words.upload is empty"},
      {"request.ask = \"line\"\nwords.download = []",
       "my.toml:1: request.ask is \"line\", and words.download is empty"},
      {"request.ask = \"name\"\nwords.download = []", "no error"},
      {"request.bare_names = true", "my.toml:1: request.bare_names is true, and request.lines is not"},
      {"words.list = [\"show all\"]", "no error"},
      {"words.list = [\"show all\"]\nrequest.lines = true",
       "my.toml:1: words.list has \"show all\": a word of a line ends at a blank"},
      {"words.list = [\"show\\tall\"]\nrequest.ask = \"line\"",
       "my.toml:1: words.list has \"show\\x09all\": a word of a line ends at a blank"},
      {"checksum.place = \"header\"\nkeys.checksum = []",
       "my.toml:1: checksum.place is \"header\", and keys.checksum is empty"},
      {"checksum.place = \"trailer\"\nkeys.checksum = []", "no error"},
      {"checksum.check = \"reject\"", "my.toml:1: checksum.check is \"reject\", and checksum.place is \"none\""},
      {"login.form = \"frame\"\nkeys.user = []", "my.toml:1: login.form wants users, and keys.user is empty"},
      {"login.form = \"text\"\nkeys.password = []",
       "my.toml:1: login.form wants passwords, and keys.password is empty"},
      {"prefix = { kind = \"decimal\", width = 3 }\nanswer.list = { frame = '{\"a\": \"" + std::string(992, 'x') +
           "\"}' }",
       "my.toml:2: answer.list is a frame of 1001 bytes: the length in front of it announces at most 999"},
      {"prefix = { kind = \"decimal\", width = 3 }\nanswer.list = { frame = '{\"a\": \"" + std::string(990, 'x') +
           "\"}' }",
       "no error"},
      {"keys.name = [\"a.b\"]",
       "my.toml:1: keys.name has \"a.b\": keys of objects inside of the header are not looked up, so that a key with a "
       "dot "
       "would never be found"},
      {"request.lines = false\nlogin.form = \"text\"", "my.toml:1: request.lines is false, and login.form is \"text\""},
      {"login.form = \"frame\"",
       "my.toml:1: login.form wants a login, and answer.login_ok is not there: nobody would know that it was good"},
  };
  for (const auto& row : rows) EXPECT_EQ(error_of(row.text), row.error) << row.text;
}

TEST(DialectFile, text_that_is_no_toml_is_named_with_its_line) {
  const std::pair<std::string, std::string> rows[] = {
      {"summary = \"a\"\n\nprefix", "my.toml:3: "},
      {"[prefix]\nwidth = 4\nwidth = 4", "my.toml:3: "},
      {"summary = \"\xff\"", "my.toml:1: "},
      {std::string("\x00\x01\x02", 3), "my.toml:1: "},
      {"[prefix]\nwidth = 99999999999999999999", "my.toml:2: "},
  };
  for (const auto& [text, start] : rows) {
    const std::string error = error_of(text);
    EXPECT_TRUE(error.starts_with(start)) << error;
    EXPECT_GT(error.size(), start.size() + 10) << error;
  }
}

// --- what is shipped -------------------------------------------------------------------------------------------------

TEST(ShippedDialects, default_is_default_and_published_is_as_strict) {
  const Dialect from_text = parse_dialect(shipped_dialect_text("default"), "default.toml");
  EXPECT_EQ(fields(from_text), fields(default_dialect()));
  EXPECT_EQ(from_text.name, default_dialect().name);
  EXPECT_EQ(from_text.summary, default_dialect().summary);

  EXPECT_EQ(fields(find_dialect("default")), fields(default_dialect()));
  const Dialect published = find_dialect("published");
  EXPECT_EQ(published.name, "published");
  EXPECT_EQ(published.summary, "the taught sender to the byte, its typo included: file_name, file_siz");
  EXPECT_EQ(differences(published, default_dialect()), Lines{"size_keys = file_siz file_size filesize total_size"});
}

TEST(ShippedDialects, each_says_what_it_should) {
  const std::string names = "name_keys = filename file_name name fileName fname key";
  const std::string sizes = "size_keys = filesize file_size file_siz total_size size data_size fileSize fsize data_len";
  const std::string operations = "operation_keys = cmd operate action action_type type opt task mode operation_type";
  const std::pair<std::string, Lines> rows[] = {
      {"acknowledged", {"after_body = text 200"}},
      {"ascii-length", {"prefixes = decimal 4", names, sizes}},
      {"auto",
       {"prefixes = little 4, big 4, big 2, little 8, big 8, decimal 4, decimal 10", operations, "lines = true",
        "not_found = zero_size", "list = body"}},
      {"big-endian", {"prefixes = big 4"}},
      {"eight-bytes", {"prefixes = little 8", names, sizes}},
      {"framed", {names, sizes, operations, "upload_form = 1", "not_found = zero_size", "list = body"}},
      {"go-ahead",
       {names, sizes, operations, "upload_form = 1", "before_body = frame {\"status\": 200}",
        "after_body = frame {\"status\": 200}", "not_found = zero_size", "list = body"}},
      {"lesson-command", {"lines = true", "words = quit:quit exit:quit"}},
      {"lesson-get",
       {names, "upload_form = 2", "ask_form = 1", "lines = true", "not_found = zero_size", "list = body",
        "pause_ms = 100"}},
      {"login",
       {"calls = false", names, sizes,
        "operation_keys = operate cmd action action_type type opt task mode operation_type",
        "user_keys = username user name", "password_keys = password pwd passwd", "upload_form = 1",
        "not_found = zero_size", "list = body", "login_ok = frame {\"operate\": \"login\", \"result\": true}",
        "login_failed = frame {\"operate\": \"login\", \"result\": false}", "login = 1", "one_file = false"}},
      {"md5-header", {names, "checksum_place = 1", "checksum_check = 1"}},
      {"md5-trailer", {names, "checksum_place = 2", "checksum_check = 1"}},
      {"messages",
       {"calls = false", "name_keys = file_name filename", "size_keys = file_size filesize",
        "command_size_key = file_size", "message = echo"}},
      {"real-python",
       {"prefixes = big 2", "name_keys = file_name filename", "size_keys = content-length",
        "extra_members = \"byteorder\": \"little\", \"content-type\": \"binary/custom-client-binary-type\", "
        "\"content-encoding\": \"binary\"",
        "command_size_key = content-length", "message = echo"}},
  };
  std::set<std::string> seen = {"default", "published"};
  for (const auto& [name, changed] : rows) {
    EXPECT_EQ(differences(find_dialect(name), parsed("")), changed) << name;
    seen.insert(name);
  }
  for (const Dialect& dialect : shipped_dialects()) EXPECT_TRUE(seen.contains(dialect.name)) << dialect.name;
  EXPECT_EQ(shipped_dialects().size(), seen.size());
}

TEST(ShippedDialects, default_comes_first_then_by_name_each_with_a_line_of_its_own) {
  std::vector<std::string> names;
  std::set<std::string> summaries;
  for (const Dialect& dialect : shipped_dialects()) {
    names.push_back(dialect.name);
    EXPECT_GE(dialect.summary.size(), 30u) << dialect.name;
    EXPECT_LE(dialect.summary.size(), 100u) << dialect.name;
    EXPECT_TRUE(summaries.insert(dialect.summary).second) << dialect.name;
    EXPECT_TRUE(shipped_dialect_text(dialect.name).starts_with("# " + dialect.name + ": ")) << dialect.name;
  }
  ASSERT_GT(names.size(), 10u);
  EXPECT_EQ(names.front(), "default");
  EXPECT_TRUE(std::is_sorted(names.begin() + 1, names.end()));
}

TEST(ShippedDialects, no_file_of_the_folder_is_forgotten) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FRAMECALL_SOURCE_DIR "/cpp/dialects")) {
    ++count;
    EXPECT_EQ(entry.path().extension(), ".toml");
    EXPECT_EQ(shipped_dialect_text(entry.path().stem().string()), content_of(entry.path())) << entry.path();
    const Dialect loaded = load_dialect(entry.path()), shipped = find_dialect(entry.path().stem().string());
    EXPECT_EQ(fields(loaded), fields(shipped)) << entry.path();
    EXPECT_EQ(loaded.name, shipped.name);
    EXPECT_EQ(loaded.summary, shipped.summary);
  }
  EXPECT_EQ(count, shipped_dialects().size());
}

TEST(ShippedDialects, each_reads_the_file_header_that_it_writes) {
  for (const Dialect& dialect : shipped_dialects()) {
    const std::string text = upload_header(dialect, "a.txt", 6, "d41d8cd98f00b204e9800998ecf8427e");
    Header header;
    header.read(text);
    const auto head = upload_head(header, dialect);
    ASSERT_TRUE(head) << dialect.name << ": " << text;
    EXPECT_EQ(head->name->text, "\"a.txt\"") << dialect.name;
    EXPECT_EQ(head->size, 6u) << dialect.name;
    EXPECT_EQ(operation_of(header, dialect), Operation::upload) << dialect.name;
  }
  EXPECT_EQ(upload_header(find_dialect("real-python"), "a.txt", 6),
            R"({"file_name": "a.txt", "content-length": 6, "byteorder": "little", )"
            R"("content-type": "binary/custom-client-binary-type", "content-encoding": "binary"})");
  EXPECT_EQ(upload_header(find_dialect("login"), "a.txt", 6),
            R"({"operate": "put", "filename": "a.txt", "filesize": 6})");
}

TEST(ShippedDialects, an_unknown_name_lists_the_known_ones) {
  std::string known;
  for (const Dialect& one : shipped_dialects()) known.append(known.empty() ? "" : ", ").append(one.name);
  try {
    shipped_dialect_text("framed.toml");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), "\"framed.toml\" is none of the shipped dialects: " + known);
  }
  try {
    find_dialect("no such\ndialect");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), "\"no such\\x0adialect\" is neither a file nor one of the shipped dialects: " + known);
  }
  try {
    find_dialect("big-endain");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), "\"big-endain\" is neither a file nor one of the shipped dialects: " + known +
                                "; did you mean \"big-endian\"?");
  }
}

// The settings that a mistake in `table` (or, when that is empty, in the file) is told.
std::vector<std::string> settings_of(const std::string& table) {
  std::string text = error_of(table.empty() ? "nothing = 0" : "[" + table + "]\nnothing = 0");
  text.erase(0, text.rfind(": ") + 2);
  std::vector<std::string> settings;
  for (std::size_t end = 0; end != std::string::npos; text.erase(0, end + 2)) {
    end = text.find(", ");
    settings.push_back(text.substr(0, end));
    if (end == std::string::npos) break;
  }
  return settings;
}

TEST(DialectsPage, names_every_dialect_and_setting_and_its_example_is_one) {
  const std::string page = content_of(FRAMECALL_SOURCE_DIR "/DIALECTS.md");
  const auto says = [&](const std::string& name) { return page.find("`" + name + "`") != std::string::npos; };
  for (const Dialect& dialect : shipped_dialects()) EXPECT_TRUE(says(dialect.name)) << dialect.name;
  std::size_t count = 0;
  for (const std::string& table : settings_of("")) {
    if (table == "summary") continue;
    for (const std::string& setting : settings_of(table)) {
      EXPECT_TRUE(says(table + "." + setting)) << table << "." << setting;
      ++count;
    }
  }
  EXPECT_GT(count, 40u);

  const std::size_t start = page.find("```toml\n") + 8;
  const Dialect example = parsed(page.substr(start, page.find("```", start) - start));
  EXPECT_EQ(upload_header(example, "a.txt", 6, "d41d"),
            R"({"action": "store", "fname": "a.txt", "fsize": 6, "digest": "d41d"})");
  EXPECT_EQ(request_header(example, Operation::download, "a.txt"), R"({"action": "fetch", "fname": "a.txt"})");
  EXPECT_EQ(text_of(example.prefixes), "big 4");
}

// --- files -----------------------------------------------------------------------------------------------------------

TEST(DialectFile, a_file_is_found_by_its_path_and_gives_its_name) {
  const TemporaryFolder folder;
  make_file(folder / "my own.toml", "summary = \"mine\"\n[prefix]\norder = \"big\"\n");
  for (const Dialect& dialect :
       {load_dialect(folder / "my own.toml"), find_dialect((folder / "my own.toml").string())}) {
    EXPECT_EQ(dialect.name, "my own");
    EXPECT_EQ(dialect.summary, "mine");
    EXPECT_EQ(differences(dialect, parsed("")), Lines{"prefixes = big 4"});
  }
  make_file(folder / "other", "");
  EXPECT_EQ(find_dialect((folder / "other").string()).name, "other");

  make_file(folder / "bad.toml", "[prefix]\nwidth = 3\n");
  const std::string path = (folder / "bad.toml").string();
  try {
    find_dialect(path);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), path + ":2: prefix.width is 3: 2, 4 or 8 for binary");
  }
}

TEST(DialectFile, what_cannot_be_read_is_an_error_of_the_system) {
  const TemporaryFolder folder;
  const auto code_of = [](const std::filesystem::path& path) {
    try {
      load_dialect(path);
    } catch (const std::system_error& error) {
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
      return error.code().value();
    }
    return 0;
  };
  EXPECT_EQ(code_of(folder / "none.toml"), ENOENT);
  EXPECT_EQ(code_of(folder.path()), EISDIR);
  EXPECT_THROW(find_dialect(folder.path().string()), std::system_error);
}

TEST(DialectFile, a_file_has_at_most_1_mib) {
  const TemporaryFolder folder;
  make_file(folder / "whole.toml", std::string(1 << 20, '\n'));
  EXPECT_EQ(fields(load_dialect(folder / "whole.toml")), fields(parsed("")));
  make_file(folder / "long.toml", std::string((1 << 20) + 1, '\n'));
  try {
    load_dialect(folder / "long.toml");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), (folder / "long.toml").string() + ": more than 1 MiB is no dialect");
  }
}

}  // namespace
}  // namespace framecall::dialect_file_test
