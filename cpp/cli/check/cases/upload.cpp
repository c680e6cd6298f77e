// The cases of the level `upload`: files, and their names.
#include <filesystem>
#include <fstream>

#include "check/trial.hpp"
#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr const char* plain_name =
    "refuse names that are no plain component before you open anything: empty, '.', '..', with '/', '\\\\' or a "
    "control "
    "character";

void deliver(ServerTrial& trial, const Message& message) {
  Peer peer = trial.connect();
  peer.send(message.bytes());
  trial.settle(peer, {&message, 1});
}

void silent(ServerTrial& trial) {
  Peer peer = trial.connect();
  const Message message = trial.upload();
  peer.send(message.bytes());
  if (peer.something_comes(milliseconds(250))) {
    if (peer.at_end()) throw Failure{"the server ended the connection; more uploads may follow on it", ""};
    throw Failure{"it answered " + escaped(peer.input()), ""};
  }
  trial.settle(peer, {&message, 1});
}

void empty_file(ServerTrial& trial) { deliver(trial, trial.upload("")); }

void several(ServerTrial& trial) {
  std::vector<Message> messages;
  Peer peer = trial.connect();
  for (const std::size_t size : {0, 1, 1024, 3000, 0, 70000}) {
    messages.push_back(trial.upload(pattern(size)));
    peer.send(messages.back().bytes());
    sleep_until(Clock::now() + milliseconds(5));
  }
  trial.settle(peer, messages);
}

void replaced(ServerTrial& trial) {
  Peer peer = trial.connect();
  const Message first = trial.upload(pattern(3000));
  const Message second = trial.upload("short", {}, first.name);
  peer.send(first.bytes());
  sleep_until(Clock::now() + milliseconds(30));
  peer.send(second.bytes());
  trial.settle(peer, {&second, 1});
}

void unicode_name(ServerTrial& trial) {
  deliver(trial, trial.upload("hello", {}, trial.new_name() + " 你好 \u00e9\U0001f600.txt"));
}

void raw_name(ServerTrial& trial) {
  Message message = trial.upload("hello", {}, trial.new_name() + "-你好");
  const std::size_t at = message.header.find("\\u4f60\\u597d");
  message.header.replace(at, 12, "你好");
  deliver(trial, message);
}

void odd_names(ServerTrial& trial) {
  for (const char* odd : {"...", " -rf ", "%2e%2e%2f", "a:b", "~ $HOME `id`", "'\"*?<>|"}) {
    std::string name = "-";
    deliver(trial, trial.upload(odd, {}, name.append(trial.new_name()).append(odd)));
  }
}

void long_name(ServerTrial& trial) {
  std::string name = trial.new_name();
  deliver(trial, trial.upload("hello", {}, name + std::string(255 - name.size(), 'n')));
}

void other_keys(ServerTrial& trial) {
  deliver(trial, trial.upload("hello", R"(, "body_size": 99, "md5": "d41d8cd98f00b204e9800998ecf8427e", "id": 5)"));
}

// Another spelling of a key has to be read, or at least refused: not to be taken for a size of 0.
void spelling(ServerTrial& trial, const char* key, const char* spelt) {
  Message message = trial.upload();
  message.header.replace(message.header.find(key), std::string_view(key).size(), spelt);
  const std::string text = std::string("a header with ") + spelt;
  const std::vector<Message> messages = {message, trial.upload("behind it")};
  Peer peer = trial.connect();
  peer.send(message.bytes());
  if (peer.something_comes(milliseconds(150))) {
    const std::string came = peer.read_to_end("the end of the connection behind a refusal");
    trial.warn(text + " is refused: " + (came.empty() ? "the connection ends" : escaped(came, 100)),
               "read the size from file_size, file_siz, filesize or total_size, the name from file_name or filename");
    return;
  }
  peer.send(messages[1].bytes());
  trial.settle(peer, messages);
}

void typo(ServerTrial& trial) { spelling(trial, "file_size", "file_siz"); }
void other_spellings(ServerTrial& trial) {
  spelling(trial, "file_size", "filesize");
  spelling(trial, "file_size", "total_size");
  spelling(trial, "file_name", "filename");
}

void spellings_agree(ServerTrial& trial) { deliver(trial, trial.upload("hello", R"(, "file_siz": 5)")); }
void spellings_differ(ServerTrial& trial) {
  trial.refuses(trial.upload("hello", R"(, "file_siz": 3)").bytes(), {-32600}, "file_size 5 and file_siz 3");
}

void then_call(ServerTrial& trial) {
  const Message messages[] = {trial.upload(pattern(2000)), trial.call("between"), trial.upload("last")};
  Peer peer = trial.connect();
  for (const Message& message : messages) {
    peer.send(message.bytes());
    trial.read_replies(peer, {&message, 1});
  }
  trial.settle(peer, {&messages[2], 1});
}

// A name that leads elsewhere. The connection stays open on our side: where nothing comes, the upload was taken.
void bad_name(ServerTrial& trial, const std::string& name_text, const std::string& what,
              const std::filesystem::path& outside = {}) {
  Message message = trial.upload();
  message.header = R"({"file_name": )" + name_text + R"(, "file_size": 5})";
  Peer peer = trial.connect();
  peer.send(message.bytes());
  const bool answered = peer.something_comes(milliseconds(400));
  std::error_code ignored;
  if (!outside.empty() && std::filesystem::exists(std::filesystem::symlink_status(outside))) {
    std::filesystem::remove(outside, ignored);
    throw Failure{what + ": the file was written to " + outside.string() + ", where the name led, outside the root",
                  ""};
  }
  if (!answered) {
    peer.finish_sending();  // whoever took it has nothing to say now, either
    if (!peer.something_comes(milliseconds(10000)) || peer.at_end()) {
      throw Failure{what + ": taken without a word, as if all were well", ""};
    }
  }
  trial.refused(peer, {-32602}, what);
}

std::filesystem::path beside_root(const ServerTrial& trial, const std::string& name) {
  return trial.root().empty() ? std::filesystem::path() : std::filesystem::path(trial.root()) / name;
}

// Some dialects take the last part of a path.
void names_are_no_paths(const ServerTrial& trial) {
  if (trial.dialect().last_path_part) throw Skip{"in the dialect the last part of a path is the name, for uploads too"};
}

void name_up(ServerTrial& trial) {
  names_are_no_paths(trial);

  const std::string name = "../" + trial.new_name();
  bad_name(trial, "\"" + name + "\"", "the name " + name, beside_root(trial, name));
}
void name_dots(ServerTrial& trial) {
  bad_name(trial, R"("..")", "the name ..");
  bad_name(trial, R"(".")", "the name .");
}
void name_absolute(ServerTrial& trial) {
  names_are_no_paths(trial);

  const std::string name = (std::filesystem::temp_directory_path() / trial.new_name()).string();
  bad_name(trial, dump_json(Json(name)), "the name " + name,
           trial.root().empty() ? std::filesystem::path() : std::filesystem::path(name));
}
void name_with_slash(ServerTrial& trial) {
  names_are_no_paths(trial);

  const std::string name = trial.new_name();
  bad_name(trial, "\"" + name + "/x\"", "the name " + name + "/x");
  bad_name(trial, "\"./" + name + "\"", "the name ./" + name, beside_root(trial, name));
  bad_name(trial, "\"" + name + "\\\\x\"", "the name " + name + "\\x", beside_root(trial, name + "\\x"));
}
void name_with_nul(ServerTrial& trial) {
  const std::string name = trial.new_name();
  bad_name(trial, "\"" + name + "\\u0000.txt\"", "a name with NUL", beside_root(trial, name));
  bad_name(trial, "\"" + name + "\\n.txt\"", "a name with a line feed", beside_root(trial, name + "\n.txt"));
}
void name_empty(ServerTrial& trial) { bad_name(trial, R"("")", "an empty name"); }
void name_too_long(ServerTrial& trial) { bad_name(trial, "\"" + std::string(256, 'n') + "\"", "a name of 256 bytes"); }
void name_no_string(ServerTrial& trial) {
  for (const char* name : {"null", "5", "true", "[\"a\"]", "\"\\ud800\""}) {
    bad_name(trial, name, std::string("the name ") + name);
  }
}

void missing_key(ServerTrial& trial) {
  const std::string name = trial.new_name();
  trial.refuses(trial.head_of("{\"file_name\": \"" + name + "\"}"), {-32600}, "a name without a size");
  trial.refuses(trial.head_of(R"({"file_size": 0})"), {-32600}, "a size without a name");
}

void cut_off(ServerTrial& trial) {
  const Message old = trial.upload("old content");
  deliver(trial, old);
  for (const bool reset : {false, true}) {
    Peer peer = trial.connect();
    const Message message = trial.upload(pattern(100000), {}, old.name);
    const Message fresh = trial.upload(pattern(100000));
    peer.send(std::string_view(message.bytes()).substr(0, 50000));
    reset ? peer.reset() : peer.close();
    peer = trial.connect();
    peer.send(std::string_view(fresh.bytes()).substr(0, 50000));
    reset ? peer.reset() : peer.close();
    trial.goes_on();
    trial.check_stored(old);
    const std::filesystem::path path = std::filesystem::path(trial.root()) / fresh.name;
    while (std::filesystem::exists(path)) {  // a server may notice the end later than it serves the next one
      if (Clock::now() >= trial.deadline()) {
        throw Failure{"a part of an upload that was cut off stays under its name: " + fresh.name, ""};
      }
      sleep_until(Clock::now() + milliseconds(5));
    }
  }
}

constexpr const char* names_rule = "3: a name is one plain path component; 6: else a refusal -32602";

constexpr ServerCase all_upload_cases[] = {
    {"upload/silent", Level::upload, uploads, "an upload, then listen",
     "3: success is silent, the connection stays open",
     "send nothing back for an upload, and go back to reading the next length", silent},
    {"upload/empty-file", Level::upload, uploads, "a file of 0 bytes", "1: nothing at all for B = 0",
     "create the file before the loop that reads its bytes, and do not wait for any", empty_file},
    {"upload/several", Level::upload, uploads, "six files on one connection, two of them empty",
     "1: frames follow each other directly", "after a file go back to reading the next length", several},
    {"upload/replaced", Level::upload, uploads, "two files of one name, the second one shorter",
     "3: the later one wins; the older file is replaced completely", "truncate: open(name, 'wb'), not 'r+b' or 'ab'",
     replaced},
    {"upload/name-unicode", Level::upload, uploads, "a name with Chinese, an accent, an emoji and blanks, escaped",
     "3: everything else is taken as it stands", "take the name from json.loads as it is", unicode_name},
    {"upload/name-raw-utf8", Level::upload, uploads, "a Chinese name as raw UTF-8", "1: UTF-8 text",
     "the length counts bytes: read N bytes first, decode then", raw_name},
    {"upload/name-odd", Level::upload, uploads, "names with dots, blanks, %2e, a colon, quotes, stars",
     "3: everything else is taken as it stands", "neither unquote, strip nor expand a name", odd_names},
    {"upload/name-longest", Level::upload, uploads, "a name of 255 bytes", "3: 1 to 255 bytes",
     "a temporary name must not be made by adding to the name: 255 bytes is the limit of the system", long_name},
    {"upload/other-keys", Level::upload, uploads, "an upload that has body_size, md5 and id as well",
     "3: all other keys are ignored; here that goes for body_size too",
     "decide by method, result, error and item what a frame is; without them only file_size counts", other_keys},
    {"upload/typo", Level::upload, uploads, "the key file_siz, as the tutorial's sender writes it",
     "3: file_siz is read", "size = header.get('file_size', header.get('file_siz'))", typo},
    {"upload/other-spellings", Level::upload, uploads, "the keys filesize, total_size, filename",
     "3: every spelling is read", "look for each of the spellings", other_spellings},
    {"upload/spellings-agree", Level::upload, uploads, "file_size and file_siz, the same",
     "3: several spellings must agree", "two equal sizes are no error", spellings_agree},
    {"upload/spellings-differ", Level::upload, uploads, "file_size and file_siz, different",
     "3: several spellings must agree, else -32600", "compare all spellings that are there", spellings_differ},
    {"upload/then-call", Level::upload, uploads | calls, "upload, call, upload on one connection",
     "2: the kind of each frame is told by its keys", "decide for every frame anew what it is", then_call},
    {"upload/name-up", Level::upload, uploads, "a name that leads out of the root: ../x", names_rule, plain_name,
     name_up},
    {"upload/name-dots", Level::upload, uploads, "the names .. and .", names_rule, plain_name, name_dots},
    {"upload/name-absolute", Level::upload, uploads, "an absolute name", names_rule, plain_name, name_absolute},
    {"upload/name-with-slash", Level::upload, uploads, "names with / and \\", names_rule, plain_name, name_with_slash},
    {"upload/name-with-nul", Level::upload, uploads, "names with NUL and with a line feed", names_rule, plain_name,
     name_with_nul},
    {"upload/name-empty", Level::upload, uploads, "an empty name", names_rule, plain_name, name_empty},
    {"upload/name-too-long", Level::upload, uploads, "a name of 256 bytes", names_rule,
     "an error of the file system is an answer to give, not a crash", name_too_long},
    {"upload/name-no-string", Level::upload, uploads, "null, 5, true, a list and a lone surrogate as the name",
     names_rule, "isinstance(name, str), before it is used", name_no_string},
    {"upload/missing-key", Level::upload, uploads, "a name without a size, a size without a name",
     "2: anything else is nothing: -32600", "header['file_size'] of a header without it must not end the program",
     missing_key},
    {"upload/cut-off", Level::upload, uploads | the_root, "senders that go in the middle of a file, by FIN and by RST",
     "3: a cut-off upload leaves nothing; until it is whole an older file stays",
     "write to a temporary file, os.replace() when all bytes are there, remove it when recv gives b''", cut_off},
};

}  // namespace

std::span<const ServerCase> upload_cases() { return all_upload_cases; }

}  // namespace framecall::cli::check
