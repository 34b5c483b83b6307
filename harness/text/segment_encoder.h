// Encodes a text segment by segment, and remembers the segments: a text that shares most of its
// words with earlier ones costs a hash look-up for each.
//
// Segments end before a blank (or before what stands for one), and only where the tokenizer's own
// parts show that nothing is ever joined across: see PreTokenizer::Cuts. Where they do not, the
// segment goes on; a text without such places is one segment, exact and slow.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "harness/text/bpe.h"
#include "harness/text/pretokenizer.h"
#include "harness/text/text_ids.h"

namespace kvbench::text {

// What one thread remembers: at most 64 MiB.
struct EncoderMemory {
  TextIds segments;  // as they stand in the text; usable: one may end there
  TextIds words;     // as the pre-tokenizer cuts them
};

// Memories that are not in use at the moment: one for each thread that encodes at the same time.
class EncoderMemories {
 public:
  std::unique_ptr<EncoderMemory> take();
  void put_back(std::unique_ptr<EncoderMemory> memory);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncoderMemory>> idle_;
};

class SegmentEncoder {
 public:
  // Both must outlive the encoder.
  SegmentEncoder(const PreTokenizer& pre_tokenizer, const Bpe& bpe);

  // Appends the ids of a normalized text without added tokens: those of bpe.encode_word for each
  // word of pre_tokenizer.apply. `starts_input`: nothing of the user's text stands before it.
  // Thread-safe, with a memory for each thread.
  void encode(std::string_view text, bool starts_input, EncoderMemory& memory,
              std::vector<int32_t>& ids) const;

 private:
  std::string_view blank_of(PreTokenizer::Cuts cuts) const;  // "" = no cuts
  bool encode_segment(std::string_view text, size_t begin, size_t end, PreTokenizer::Cuts cuts,
                      bool starts_input, EncoderMemory& memory, std::vector<int32_t>& ids) const;
  void encode_words(const std::vector<Piece>& words, EncoderMemory& memory,
                    std::vector<int32_t>& ids) const;
  void encode_whole(std::string_view text, bool starts_input, EncoderMemory& memory,
                    std::vector<int32_t>& ids) const;

  const PreTokenizer& pre_tokenizer_;
  const Bpe& bpe_;
};

}  // namespace kvbench::text
