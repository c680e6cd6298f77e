#include "framecall/detail/suggestion.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace framecall {
namespace {

constexpr std::size_t longest_word = 64;

// Letters to add, remove, replace or exchange with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& here = cost[i * width + j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      const bool differ = a[i - 1] != b[j - 1];
      here = std::min({cost[(i - 1) * width + j] + 1, cost[i * width + j - 1] + 1,
                       cost[(i - 1) * width + j - 1] + (differ ? 1 : 0)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) here = std::min(here, cost[(i - 2) * width + j - 2] + 1);
    }
  }
  return cost.back();
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(word.size() / 3, 1) + 1;
  if (word.size() > longest_word) return nearest;
  for (const std::string_view candidate : known) {
    const std::size_t differs = distance(word, candidate);
    if (differs >= least || differs >= candidate.size()) continue;
    nearest = candidate;
    least = differs;
  }
  return nearest;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view nearest = nearest_word(word, known);
  return nearest.empty() ? std::string() : std::string("; did you mean \"").append(nearest).append("\"?");
}

}  // namespace framecall
