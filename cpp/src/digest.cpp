#include "framecall/digest.hpp"
namespace framecall {
struct Digest::State {};
Digest::Digest(DigestKind) {}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;
void Digest::update(std::string_view) {}
std::string Digest::finish() { return {}; }
std::string digest_of_file(DigestKind, int) { return {}; }
}  // namespace framecall
