#include "framecall/detail/reply_decoder.hpp"

#include <algorithm>
#include <utility>

#include "wire/reply.hpp"

namespace framecall {
namespace {

constexpr std::size_t read_direct_from = 64 * 1024;  // bodies of this size go past the decoder
constexpr std::size_t piece_size = 256 * 1024;       // of a body that is not held whole

}  // namespace

void CallReply::clear() {
  id.clear();
  error.reset();
  result.clear();
  metadata.clear();
  layout.clear();
  body.release();
  damage.reset();
  more = continues = continued = false;
}

Response response_of(CallReply&& reply, const std::string& shown) {
  if (reply.error) throw RemoteError(*reply.error);
  if (reply.damage) throw ProtocolError(*reply.damage);
  if (reply.continues) {
    throw ProtocolError(ErrorCode::resource_exhausted, 0,
                        shown + ": the body of a reply has " + std::to_string(reply.body_size) +
                            " bytes, more than max_body of this client");
  }
  if (reply.more) {
    throw ProtocolError(ErrorCode::invalid_request, 0, shown + ": a streamed reply, where none was asked for");
  }
  Response response;
  response.result = std::move(reply.result);
  response.body = std::move(reply.body);
  response.metadata = std::move(reply.metadata);
  response.layout = std::move(reply.layout);
  return response;
}

Part part_of(CallReply&& reply) {
  Part part;
  if (!reply.continued) part.value = std::move(reply.result);
  part.body = std::move(reply.body);
  part.layout = std::move(reply.layout);
  part.continues = reply.continues;
  return part;
}

// A body's block grows with what has come, not with what was announced.
std::span<char> ReplyDecoder::prepare() {
  direct_ = in_body_ && used_up_ && decoder_.body_left() >= read_direct_from;
  if (!direct_) return decoder_.prepare();
  const std::size_t room = large_ ? piece_size : std::max(reply_.body.size(), piece_size);
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(decoder_.body_left(), room));
  return {reply_.body.prepare(size), size};
}

void ReplyDecoder::commit(std::size_t size) {
  if (direct_) {
    reply_.body.commit(size);
    decoder_.take_body(size);
  } else {
    decoder_.commit(size);
    used_up_ = used_up_ && size == 0;
  }
  if (size == 0) decoder_.close();
}

CallReply* ReplyDecoder::next() {
  if (!in_body_) {
    reply_.clear();
  } else if (std::exchange(reply_.continues, false)) {
    reply_.continued = true;
    reply_.body.clear();  // of a piece that nobody took
  }
  for (;;) {
    switch (decoder_.next_event(header_)) {
      case Decoder::Event::need_data: used_up_ = true; break;
      case Decoder::Event::header_received: begin(); continue;
      case Decoder::Event::body_received: reply_.body.append(decoder_.body()); break;
      case Decoder::Event::end_of_message: end(); return &reply_;
      default: closed_ = true; return nullptr;
    }
    if (large_ && reply_.body.size() >= piece_size) {
      if (sum_) sum_->update(reply_.body.view());
      reply_.continues = true;
      return &reply_;
    }
    if (used_up_) return nullptr;
  }
}

void ReplyDecoder::begin() {
  ReplyHead head;
  read_reply(header_, head);
  reply_.id = std::move(head.id);
  reply_.error = std::move(head.error);
  reply_.result = head.result;
  reply_.metadata = head.metadata;
  reply_.layout = std::move(head.layout);
  reply_.more = head.more;
  closing_ = closing_ || head.closing || reply_.id.empty();
  digest_ = head.digest;
  reply_.body_size = decoder_.body_left();
  large_ = reply_.body_size > max_body_;
  sum_.reset();
  if (large_ && !digest_.empty()) sum_.emplace(DigestKind::sha256);
  in_body_ = true;
  if (const auto body = decoder_.take_whole_body()) reply_.body.append(*body);
}

void ReplyDecoder::end() {
  in_body_ = large_ = false;
  const auto announced = announced_sha256(digest_);
  if (!announced) return;
  try {
    if (sum_) sum_->update(reply_.body.view());
    check_sha256(*announced, sum_ ? sum_->finish_base64() : sha256_base64(reply_.body.view()));
  } catch (const CallError& error) {
    reply_.damage.emplace(ErrorCode::data_loss, decoder_.offset(), error.what());
  }
}

}  // namespace framecall
