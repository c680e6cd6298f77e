#include "net/send_queue.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace framecall {
namespace {

constexpr std::size_t block_from = 16 * 1024;    // smaller ones are copied: a segment of its own costs more
constexpr std::size_t bytes_per_turn = 4 << 20;  // then the loop's other connections have their turn
constexpr std::size_t sendfile_piece = 1 << 20;  // of one sendfile()
constexpr std::size_t max_vectors = 16;
constexpr std::size_t segments_of_block = 2;  // that a block adds at most
constexpr std::size_t segments_of_frame = 4;  // that a frame adds at most

}  // namespace

std::uint64_t SendQueue::left_of(const Segment& segment) {
  return segment.file->offset() + segment.file->length() - static_cast<std::uint64_t>(segment.offset);
}

SendQueue::Segment& SendQueue::tail() {
  if (segments_.empty() || segments_.back().file) segments_.emplace_back();
  return segments_.back();
}

void SendQueue::append(std::string_view bytes) {
  if (bytes.empty()) return;
  tail().bytes.append(bytes);
  memory_ += bytes.size();
}

// For `count` more segments: adding them cannot fail then.
void SendQueue::make_room(std::size_t count) {
  const std::size_t needed = segments_.size() + count;
  if (needed > segments_.capacity()) segments_.reserve(std::max(needed, 2 * segments_.capacity()));
}

void SendQueue::append(Buffer block) {
  if (block.size() < block_from) {
    append(block.view());
    return;
  }
  make_room(segments_of_block);
  memory_ += block.size();
  segments_.emplace_back().bytes = std::move(block);
  segments_.emplace_back();  // what follows is not appended to the block, which would copy it
}

// Takes all memory that it needs before it changes anything: half a frame would make the peer read the next one as its rest.
void SendQueue::append_frame(std::string_view prefix, std::string_view header, Buffer&& body) {
  const bool copied = body.size() < block_from;
  if (!copied) make_room(segments_of_frame);
  const std::size_t size = prefix.size() + header.size() + (copied ? body.size() : 0);
  Buffer& bytes = tail().bytes;
  char* to = bytes.prepare(size);
  to = std::copy(prefix.begin(), prefix.end(), to);
  to = std::copy(header.begin(), header.end(), to);
  if (copied) std::copy_n(body.data(), body.size(), to);
  bytes.commit(size);
  memory_ += size;
  if (!copied) append(std::move(body));
}

void SendQueue::append_frame(std::string_view prefix, std::string_view header, FileStore::Download&& file,
                             Buffer&& trailer) {
  make_room(segments_of_frame);
  auto kept = file.length() > 0 ? std::make_unique<FileStore::Download>(std::move(file)) : nullptr;
  tail().bytes.prepare(prefix.size() + header.size());
  append(prefix);
  append(header);
  if (kept) {
    Segment& segment = segments_.emplace_back();
    segment.offset = static_cast<off_t>(kept->offset());
    segment.file = std::move(kept);
    ++files_;
  }
  if (trailer.empty()) return;
  memory_ += trailer.size();
  segments_.emplace_back().bytes = std::move(trailer);
}

void SendQueue::clear() {
  std::vector<Segment>().swap(segments_);
  first_ = memory_ = 0;
  files_ = 0;
}

const SendQueue::Segment& SendQueue::next_file() const {
  return *std::find_if(segments_.begin() + static_cast<std::ptrdiff_t>(first_), segments_.end(),
                       [](const Segment& segment) { return segment.file != nullptr; });
}

std::uint64_t SendQueue::file_left() const {
  const Segment& segment = next_file();
  return left_of(segment);
}

const std::string& SendQueue::file_name() const { return next_file().file->name(); }

void SendQueue::pop() {
  if (segments_[first_].file) --files_;
  segments_[first_] = Segment();
  if (++first_ == segments_.size()) clear();
}

SendQueue::Result SendQueue::send_to(ByteStream& stream) {
  std::size_t done = 0;
  while (!segments_.empty()) {
    Segment& segment = segments_[first_];
    if (!segment.file && segment.bytes.empty()) {
      pop();
      continue;
    }
    if (done >= bytes_per_turn) return Result::more;
    const ssize_t count = segment.file ? send_file(stream) : send_memory(stream);
    if (count == 0) return Result::shrunk;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Result::blocked : Result::lost;
    done += static_cast<std::size_t>(count);
  }
  return Result::sent;
}

// As many segments as one call takes. What was sent is taken away, whole segments only from the front.
ssize_t SendQueue::send_memory(ByteStream& stream) {
  std::array<iovec, max_vectors> vectors{};
  std::size_t used = 0;
  bool before_file = false;
  for (std::size_t i = first_; i < segments_.size() && used < max_vectors; ++i) {
    if (segments_[i].file) {
      before_file = true;  // a head and its file in one segment
      break;
    }
    if (segments_[i].bytes.empty()) continue;
    vectors[used++] = {const_cast<char*>(segments_[i].bytes.data()), segments_[i].bytes.size()};
  }
  const ssize_t count = stream.write(vectors.data(), used, before_file);
  if (count <= 0) return count;
  memory_ -= static_cast<std::size_t>(count);
  for (auto left = static_cast<std::size_t>(count); left > 0;) {
    Buffer& bytes = segments_[first_].bytes;
    const std::size_t part = std::min(left, bytes.size());
    bytes.consume(part);
    left -= part;
    if (bytes.empty() && (left > 0 || first_ + 1 < segments_.size())) pop();
  }
  return count;
}

ssize_t SendQueue::send_file(ByteStream& stream) {
  Segment& segment = segments_[first_];
  const std::uint64_t left = left_of(segment);
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, sendfile_piece));
  const ssize_t count = stream.write_file(segment.file->descriptor(), segment.offset, size);
  if (count > 0 && left_of(segment) == 0) pop();
  return count;
}

}  // namespace framecall
