// Raw text that a peer is expected to send next: it is looked for before bytes are taken for the beginning of a length, as
// 0x01 or 0x06 would be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace framecall {

class ExpectedText {
 public:
  /// From now on this one; empty: none. False: what is kept is not its beginning, and it is not expected any more.
  bool expect(std::string text);
  bool expecting() const { return !text_.empty(); }

  /// Keeps bytes that have come. False: they are not the text, and it is not expected any more.
  bool add(std::string_view bytes);
  /// Some of what is kept may be the text.
  bool begun() const { return !kept_.empty(); }
  /// The text is there. It may differ in the blanks at its ends; behind text there is no more text.
  bool whole() const;
  /// Takes the text, and blanks behind it, from what is kept; only if whole().
  void accept();
  /// What is kept and was not accepted.
  std::string release();

 private:
  enum class Match : std::uint8_t { no, part, whole };
  Match match(std::size_t& size) const;

  std::string text_, kept_;
};

}  // namespace framecall
