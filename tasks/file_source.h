// Samples out of a file of JSON lines: read through once when it is opened, then line by line.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "harness/base/json_view.h"
#include "tasks/task.h"

namespace kvbench {

class FileSource : public SampleSource {
 public:
  // Makes the sample of a line, counted from 0; throws InputError for one that is no sample.
  using ReadSample = std::function<Sample(const JsonView& record, int64_t line)>;

  // Reads every line that is taken, so that a malformed one is found before anything runs. `limit`
  // is how many samples are taken, 0 = all. Lines are cut at "\n" only; blank ones are skipped but
  // counted. Throws InputError "FILE:LINE: ..." (from 1), and when the file holds fewer samples
  // than `limit` or none.
  FileSource(std::filesystem::path file, int64_t limit, Protocol protocol, ReadSample read);

  const Protocol& protocol() const override { return protocol_; }
  int64_t size() const override { return static_cast<int64_t>(lines_.size()); }
  int64_t length() const override { return length_; }
  int64_t id(int64_t i) const override { return line(i).number; }
  std::string context_key(int64_t i) const override { return line(i).context_hash; }
  int64_t context_bytes(int64_t i) const override { return line(i).context_bytes; }
  Sample sample(int64_t i) const override;

 private:
  struct Line {
    int64_t number, offset, bytes, context_bytes;
    std::string hash, context_hash;  // of the line as it stands, of its sample's context
  };
  const Line& line(int64_t i) const { return lines_.at(static_cast<size_t>(i)); }

  std::filesystem::path file_;
  Protocol protocol_;
  ReadSample read_;
  std::vector<Line> lines_;
  int64_t length_ = 0;
};

}  // namespace kvbench
