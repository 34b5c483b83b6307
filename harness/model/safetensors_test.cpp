#include "harness/model/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "harness/base/error.h"
#include "harness/base/random.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
const fs::path kData = fs::path(KVBENCH_TEST_ROOT) / "harness/model/testdata";

class SafetensorsFiles : public testing::Test {
 protected:
  // A file with this header text and `data_bytes` zero bytes.
  fs::path write(const std::string& header, size_t data_bytes) {
    const uint64_t length = header.size();
    std::string content(reinterpret_cast<const char*>(&length), sizeof length);
    return write_bytes(content + header + std::string(data_bytes, '\0'));
  }
  fs::path write_bytes(const std::string& bytes) {
    const fs::path file = dir_ / "model.safetensors";
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }
  std::string error_of(const fs::path& file) {
    try {
      const Weights weights(file);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  fs::path dir_ = folder_.path();
};

TEST_F(SafetensorsFiles, ReadsAndConverts) {
  write(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})",
      24);
  const Weights weights(dir_);
  EXPECT_EQ(weights.n_parameters(), 6);
  EXPECT_EQ(weights.n_bytes(), 24);
  const auto a = weights.get("a", {2, 3}, at::kBFloat16, at::kCPU);
  EXPECT_EQ(a.scalar_type(), at::kBFloat16);
  EXPECT_THROW(weights.get("a", {3, 2}, at::kFloat, at::kCPU), InputError);
  EXPECT_THROW(weights.get("b", {2, 3}, at::kFloat, at::kCPU), InputError);
}

TEST_F(SafetensorsFiles, TensorOutlivesTheFileObject) {
  at::Tensor weight;
  {
    const Weights weights(kData / "llama2");
    weight = weights.get("model.norm.weight", {32}, at::kFloat, at::kCPU);
  }
  EXPECT_TRUE(weight.isfinite().all().item<bool>());
}

TEST_F(SafetensorsFiles, EachDefectHasItsMessage) {
  const auto expect = [&](const fs::path& file, const std::string& part) {
    const std::string message = error_of(file);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  expect(dir_ / "absent.safetensors", "cannot be read");
  expect(write_bytes(""), "too few");
  expect(write_bytes("abc"), "too few");
  expect(write_bytes(std::string(8, '\xff')), "header claims");
  expect(write("[1]", 0), "header: expected a JSON object, got a list");
  expect(write(R"({"a":)", 0), "header: not valid JSON: malformed at byte 6");
  expect(write(R"({"a":1})", 0), "tensor a: expected an object, got 1");
  expect(write(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "dtype");
  expect(write(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "got -1");
  expect(write(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4),
         "impossible");
  expect(write(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8), "needs 4 bytes");
  expect(write(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7), "outside");
  expect(write(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 16), "outside");
  expect(write(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,0]}})", 4),
         "got 18446744073709551612");
  expect(write(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4), "two offsets");
}

TEST_F(SafetensorsFiles, SizesAreIntegersWhateverTheFileSays) {
  for (const std::string size : {"1e300", "1.0", "true", "\"1\"", "null", "9223372036854775808"}) {
    const std::string shape = R"({"a":{"dtype":"U8","shape":[)" + size;
    EXPECT_NE(error_of(write(shape + R"(],"data_offsets":[0,1]}})", 1)).find("shape[0]: expected"),
              std::string::npos);
    const std::string offset = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,)" + size;
    EXPECT_NE(error_of(write(offset + "]}}", 1)).find("data_offsets[1]: expected"),
              std::string::npos);
  }
  EXPECT_NE(error_of(write(R"({"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}})", 1))
                .find("a number is too large: '1e999'"),
            std::string::npos);
  // 2^31 * 2^31 * 4 elements wrap to 0 in 64 bits.
  EXPECT_NE(error_of(write(R"({"a":{"dtype":"U8","shape":[2147483648,2147483648,4],)"
                           R"("data_offsets":[0,0]}})",
                           0))
                .find("impossible shape"),
            std::string::npos);
}

TEST_F(SafetensorsFiles, TensorsFillTheData) {
  const auto error = [&](const std::string& a, const std::string& b, size_t data_bytes) {
    const std::string text = R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":{}}},)"
                             R"("b":{{"dtype":"U8","shape":[3],"data_offsets":{}}},)"
                             R"("none":{{"dtype":"U8","shape":[0,7],"data_offsets":[2,2]}}}})";
    return error_of(write(fmt::format(fmt::runtime(text), a, b), data_bytes));
  };
  EXPECT_EQ(error("[0,2]", "[2,5]", 5), "no error");
  EXPECT_NE(error("[0,2]", "[2,5]", 6).find("1 bytes follow the last tensor"), std::string::npos);
  EXPECT_NE(error("[0,2]", "[3,6]", 6).find("data bytes 2 to 3 belong to no tensor"),
            std::string::npos);
  EXPECT_NE(error("[0,2]", "[1,4]", 4).find("data bytes 1 to 2 belong to two tensors"),
            std::string::npos);
}

// Any prefix and any flipped byte of a real file is read, or refused with one line; never a crash.
TEST_F(SafetensorsFiles, TruncatedAndCorruptedFiles) {
  std::ifstream in(kData / "llama2" / "model.safetensors", std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_GT(whole.size(), 1000u);
  for (size_t n = 0; n < whole.size(); n += 1 + whole.size() / 97) {
    write_bytes(whole.substr(0, n));
    EXPECT_THROW(Weights{dir_}, InputError) << n << " bytes";
  }
  Random random(1);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string broken = whole;
    broken[random.below(2000)] = static_cast<char>(random.below(256));  // the header's part
    write_bytes(broken);
    try {
      const Weights weights(dir_);
      for (const auto& name : weights.names()) {
        try {
          weights.get(name, {32}, at::kFloat, at::kCPU).sum();
        } catch (const InputError&) {
        }
      }
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST_F(SafetensorsFiles, IndexIsNotTrusted) {
  std::ofstream(dir_ / "model.safetensors.index.json")
      << R"({"weight_map":{"a":"../../secret.safetensors"}})";
  EXPECT_NE(error_of(dir_).find("not a plain file name"), std::string::npos);
  std::ofstream(dir_ / "model.safetensors.index.json") << R"({"weight_map":{"a":"x.safetensors"}})";
  EXPECT_NE(error_of(dir_).find("cannot be read"), std::string::npos);
}

// A type is refused where it is asked for: only the forward pass knows which tensors it needs.
TEST_F(SafetensorsFiles, TypesThatAreNotReadAreRefusedWhenAskedFor) {
  for (const std::string dtype : {"F8_E4M3", "U8", "I8", "F9"}) {
    write(fmt::format(R"({{"a":{{"dtype":"{}","shape":[4],"data_offsets":[0,4]}}}})", dtype), 4);
    const Weights weights(dir_);
    EXPECT_TRUE(weights.has("a"));
    EXPECT_THROW(weights.check("a", {4}), InputError);
    EXPECT_THROW(weights.get("a", {4}, at::kFloat, at::kCPU), InputError);
  }
  EXPECT_NE(error_of(write(R"({"a":{"dtype":"F9","shape":[40],"data_offsets":[0,4]}})", 4))
                .find("impossible shape [40]"),
            std::string::npos);
  write(R"({"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}})", 2);
  EXPECT_EQ(Weights(dir_).n_parameters(), 4);
  EXPECT_NE(error_of(write(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2))
                .find("needs 2 bytes"),
            std::string::npos);
  EXPECT_NE(error_of(write(R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,4]}})", 4))
                .find("needs 3 bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace kvbench
