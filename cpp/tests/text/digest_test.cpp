#include "framecall/wire/digest.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "support/temporary_folder.hpp"

namespace framecall::digest_test {
namespace {

std::string of(DigestKind kind, std::string_view bytes) {
  Digest digest(kind);
  digest.update(bytes);
  return digest.finish();
}

TEST(Digest, agrees_with_the_standards) {
  // RFC 1321, appendix A.5.
  EXPECT_EQ(of(DigestKind::md5, ""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(of(DigestKind::md5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(of(DigestKind::md5, "message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  // FIPS 180-2, appendix B.
  EXPECT_EQ(of(DigestKind::sha256, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of(DigestKind::sha256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Digest, of_pieces_is_that_of_the_whole) {
  const std::string bytes(100000, 'a');
  Digest digest(DigestKind::md5);
  for (std::size_t at = 0; at < bytes.size(); at += 777) digest.update(std::string_view(bytes).substr(at, 777));
  Digest moved = std::move(digest);
  EXPECT_EQ(moved.finish(), of(DigestKind::md5, bytes));
}

TEST(Digest, of_a_file_is_that_of_its_content) {
  const TemporaryFolder folder;
  const std::string bytes = std::string(1000000, 'b') + "end";
  std::ofstream(folder.path() / "f", std::ios::binary) << bytes;
  const int file = ::open((folder.path() / "f").c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(digest_of_file(DigestKind::sha256, file), of(DigestKind::sha256, bytes));
  EXPECT_EQ(digest_of_file(DigestKind::sha256, file), of(DigestKind::sha256, bytes)) << "from its start again";
  ::close(file);
  EXPECT_THROW(digest_of_file(DigestKind::md5, -1), std::system_error);
}

}  // namespace
}  // namespace framecall::digest_test
