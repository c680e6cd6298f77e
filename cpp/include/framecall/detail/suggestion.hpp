// What somebody meant who misspelt a word of a known list: for error messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace framecall {

/// The word of `known` that is nearest to `word`, if at most a third of its letters differ; else empty.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known);

/// `; did you mean "width"?`, or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace framecall
