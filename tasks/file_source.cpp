#include "tasks/file_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "tasks/text.h"

namespace kvbench {
FileSource::FileSource(std::filesystem::path file, int64_t limit, Protocol protocol,
                       ReadSample read)
    : file_(std::move(file)), protocol_(std::move(protocol)), read_(std::move(read)) {
  const std::string text = read_file(file_);
  const std::vector<std::string_view> bytes_of = split_lines(text);
  for_each_json_line(text, file_.string(), [&](const JsonView& record, int64_t number) {
    const std::string_view bytes = bytes_of[static_cast<size_t>(number)];
    const Sample sample = read_(record, number);
    lines_.push_back({number, bytes.data() - text.data(), static_cast<int64_t>(bytes.size()),
                      static_cast<int64_t>(sample.context.size()), short_hash(bytes),
                      short_hash(sample.context)});
    length_ = std::max(length_, sample.length);
    return size() != limit;
  });
  if (lines_.empty()) throw_input_error("{}: there are no samples in it", file_.string());
  if (limit > 0 && size() < limit) {
    throw_input_error("{}: {} samples were asked for, the file has {}", file_.string(), limit,
                      size());
  }
}

Sample FileSource::sample(int64_t i) const {
  const Line& known = line(i);
  const std::string place = fmt::format("{}:{}", file_.string(), known.number + 1);
  std::ifstream stream(file_, std::ios::binary);
  std::string bytes(static_cast<size_t>(known.bytes), '\0');
  stream.seekg(known.offset);
  stream.read(bytes.data(), known.bytes);
  if (!stream || short_hash(bytes) != known.hash) {
    throw_input_error("{}: the line is not as it was when the file was opened", place);
  }
  const nlohmann::json json = parse_json(bytes, place);
  return read_(JsonView(json, place), known.number);
}

}  // namespace kvbench
