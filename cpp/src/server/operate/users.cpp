#include "framecall/users.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::size_t salt_size = 16, hash_size = 32;
// What RFC 7914 calls N, r, p: 16 MiB and tens of milliseconds.
constexpr std::uint64_t default_cost = 1 << 14, default_block = 8, default_parallel = 1;
constexpr std::uint64_t max_memory = 256 << 20;  // bytes; a file that asks for more is refused

struct Hash {
  std::uint64_t cost = default_cost, block = default_block, parallel = default_parallel;
  std::string salt, value;
};

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 1024) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size =
      ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::string derive(std::string_view password, const Hash& hash, std::size_t size) {
  std::string value(size, '\0');
  const int good = ::EVP_PBE_scrypt(
      password.data(), password.size(), reinterpret_cast<const unsigned char*>(hash.salt.data()), hash.salt.size(),
      hash.cost, hash.block, hash.parallel, 2 * max_memory, reinterpret_cast<unsigned char*>(value.data()), size);
  if (good != 1) throw std::runtime_error("scrypt: refused by the system's OpenSSL");
  return value;
}

// `scrypt$N$R$P$SALT$HASH`, or nothing.
std::optional<Hash> parse_hash(std::string_view text) {
  std::array<std::string_view, 6> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t end = i + 1 < fields.size() ? text.find('$') : text.size();
    if (end == std::string_view::npos) return std::nullopt;
    fields[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  Hash hash;
  std::uint64_t* const numbers[] = {&hash.cost, &hash.block, &hash.parallel};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string_view field = fields[i + 1];
    const auto result = std::from_chars(field.data(), field.data() + field.size(), *numbers[i]);
    const bool whole = result.ec == std::errc{} && result.ptr == field.data() + field.size();
    if (!whole || *numbers[i] < 1 || *numbers[i] > max_memory) return std::nullopt;
  }
  const bool power = (hash.cost & (hash.cost - 1)) == 0 && hash.cost > 1;
  const auto salt = from_base64(fields[4]), value = from_base64(fields[5]);
  if (fields[0] != "scrypt" || !power || hash.block > 64 || hash.parallel > 16 || !salt || !value ||
      value->size() < 16 || 128 * hash.cost * hash.block > max_memory) {
    return std::nullopt;
  }
  hash.salt = *salt;
  hash.value = *value;
  return hash;
}

void write_all(int file, std::string_view bytes, const std::string& shown) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemError(errno, std::generic_category(), shown);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(file) != 0 && errno != EINVAL) throw SystemError(errno, std::generic_category(), shown);
}

}  // namespace

Users::Users(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw SystemError(errno, std::generic_category(), path.string());
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') {
      lines_.push_back({{}, line});
      continue;
    }
    const auto refuse = [&](const char* what) {
      throw std::invalid_argument(path.string() + ":" + std::to_string(number) + ": " + what);
    };
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) refuse("not NAME:scrypt$N$R$P$SALT$HASH");
    if (!parse_hash(std::string_view(line).substr(colon + 1))) refuse("the hash is not scrypt$N$R$P$SALT$HASH");
    const std::string name = line.substr(0, colon);
    if (find(name) != nullptr) refuse("the second line of this user");
    lines_.push_back({name, line.substr(colon + 1)});
  }
}

const Users::Line* Users::find(std::string_view name) const {
  const auto found = std::find_if(lines_.begin(), lines_.end(),
                                  [name](const Line& line) { return !line.name.empty() && line.name == name; });
  return found != lines_.end() ? &*found : nullptr;
}

bool Users::check(std::string_view name, std::string_view password) const {
  const Line* const line = find(name);
  Hash hash;  // of nobody: a user that does not exist takes as long as one that does
  hash.salt.assign(salt_size, '\0');
  hash.value.assign(hash_size, '\0');
  if (line != nullptr) hash = *parse_hash(line->text);
  const std::string value = derive(password, hash, hash.value.size());
  const bool equal = ::CRYPTO_memcmp(value.data(), hash.value.data(), value.size()) == 0;
  return equal && line != nullptr && !password.empty();
}

void Users::set(const std::string& name, std::string_view password) {
  const bool bad = std::any_of(name.begin(), name.end(),
                               [](char c) { return c == ':' || static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
  if (name.empty() || name.size() > 255 || name.front() == '#' || bad) {
    throw std::invalid_argument("user name \"" + printable(name) +
                                "\": 1 to 255 bytes without : and control characters, and no # at its start");
  }
  if (password.empty()) throw std::invalid_argument("the password of \"" + printable(name) + "\" is empty");
  Hash hash;
  hash.salt.assign(salt_size, '\0');
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(hash.salt.data()), static_cast<int>(salt_size)) != 1) {
    throw std::runtime_error("no random bytes from the system's OpenSSL");
  }
  std::string text = "scrypt";
  for (const std::uint64_t number : {hash.cost, hash.block, hash.parallel}) {
    text.append("$").append(std::to_string(number));
  }
  text.append("$").append(to_base64(hash.salt)).append("$").append(to_base64(derive(password, hash, hash_size)));
  if (const Line* line = find(name)) {
    lines_[static_cast<std::size_t>(line - lines_.data())].text = std::move(text);
  } else {
    lines_.push_back({name, std::move(text)});
  }
}

bool Users::remove(std::string_view name) {
  return std::erase_if(lines_, [name](const Line& line) { return !line.name.empty() && line.name == name; }) > 0;
}

std::size_t Users::size() const {
  return static_cast<std::size_t>(
      std::count_if(lines_.begin(), lines_.end(), [](const Line& line) { return !line.name.empty(); }));
}

void Users::save(const std::filesystem::path& path) const {
  std::string content;
  for (const Line& line : lines_) {
    if (!line.name.empty()) content.append(line.name).append(":");
    content.append(line.text).append("\n");
  }
  std::string part = path.string() + ".XXXXXX";
  const int file = ::mkostemp(part.data(), O_CLOEXEC);  // mode 0600
  if (file < 0) throw SystemError(errno, std::generic_category(), path.string());
  try {
    write_all(file, content, path.string());
    if (::rename(part.c_str(), path.c_str()) != 0) throw SystemError(errno, std::generic_category(), path.string());
  } catch (...) {
    ::close(file);
    ::unlink(part.c_str());
    throw;
  }
  ::close(file);
}

}  // namespace framecall
