// Checkpoints whose config.json does not say what their files hold, made from the tiny ones beside
// this test: right logits or one line.
#include "harness/model/file_layout.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/base/files.h"
#include "harness/base/test_util.h"
#include "harness/model/decoder.h"
#include "harness/model/open_model.h"
#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
const fs::path kData = fs::path(KVBENCH_TEST_ROOT) / "harness/model/testdata";

// The content of a safetensors file, to be changed and written again.
struct TensorFile {
  struct Tensor {
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  std::map<std::string, Tensor> tensors;

  static TensorFile read(const fs::path& file) {
    const std::string bytes = read_file(file);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    TensorFile out;
    const json header = json::parse(bytes.substr(sizeof length, length));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
      out.tensors[name] = {entry["dtype"], entry["shape"],
                           bytes.substr(sizeof length + length + begin, end - begin)};
    }
    return out;
  }

  void write(const fs::path& file) const {
    json header = json::object();
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      header[name] = {{"dtype", tensor.dtype},
                      {"shape", tensor.shape},
                      {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
      data += tensor.bytes;
    }
    const std::string text = header.dump();
    const uint64_t length = text.size();
    InTempDir::write(
        file, std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + data);
  }
};

class FileLayout : public testing::Test {
 protected:
  // Puts a tiny model into the folder, to be changed.
  void use(const std::string& family) {
    for (const char* name : {"config.json", "expected.safetensors"}) {
      InTempDir::write(name, read_file(kData / family / name));
    }
    config = json::parse(read_file("config.json"));
    file = TensorFile::read(kData / family / "model.safetensors");
  }

  void save() {
    InTempDir::write("config.json", config.dump());
    file.write("model.safetensors");
  }

  // Of the changed model against those of the one it was made from.
  void expect_same_logits() {
    save();
    expect_same_logits_of_folder();
  }
  void expect_same_logits_of_folder() {
    const Weights expected("expected.safetensors");
    const at::Tensor ids = expected.get("token_ids", {24}, at::kInt, at::kCPU);
    const at::Tensor right = expected.get("logits", {24, 96}, at::kFloat, at::kCPU)[23];
    const Decoder model(".", at::kFloat, at::kCPU);
    const auto* first = ids.const_data_ptr<int32_t>();
    const auto logits = model.prefill({first, first + 24}, [](const LayerView&) {});
    EXPECT_TRUE((logits - right).abs().max().item<double>() <= 1e-4);
  }

  void expect_refused(const std::string& part) {
    save();
    const std::string message = error_of([] { const Decoder model(".", at::kFloat, at::kCPU); });
    EXPECT_NE(message.find(part), message.npos) << part << " not in: " << message;
    EXPECT_EQ(message.find('\n'), message.npos) << message;
  }

  // Every tensor's name by `change`.
  template <class Change>
  void rename(Change&& change) {
    std::map<std::string, TensorFile::Tensor> renamed;
    for (auto& [name, tensor] : file.tensors) renamed[change(name)] = std::move(tensor);
    file.tensors = std::move(renamed);
  }

  InTempDir folder;
  json config;
  TensorFile file;
};

TEST_F(FileLayout, BiasesAreWhatTheFileHolds) {
  use("qwen2");
  config["attention_bias"] = false;
  expect_same_logits();
  use("llama_bias");
  config.erase("attention_bias");
  config["mlp_bias"] = false;
  expect_same_logits();
  use("mistral");
  config["attention_bias"] = true;
  config["mlp_bias"] = true;
  expect_same_logits();
  use("qwen2");
  file.tensors.erase("model.layers.1.self_attn.k_proj.bias");
  expect_refused("tensor model.layers.1.self_attn.k_proj.bias is missing, but there is");
}

TEST_F(FileLayout, HeadsAreWhatTheFileHolds) {
  use("llama2");
  config["tie_word_embeddings"] = true;  // transformers 5: both are there, so they are not tied
  expect_same_logits();
  use("smollm2");
  file.tensors["lm_head.weight"] = file.tensors["model.embed_tokens.weight"];
  file.tensors.erase("model.embed_tokens.weight");
  expect_same_logits();
  use("smollm2");
  config["tie_word_embeddings"] = false;
  expect_refused("tensor lm_head.weight is missing");
}

TEST_F(FileLayout, NamesOfAWholeThatTheDecoderIsAPartOf) {
  for (const std::string prefix : {"language_model.model.", "model.language_model."}) {
    use("llama2");
    rename([&](const std::string& name) {
      return name.starts_with("model.") ? prefix + name.substr(6) : name;
    });
    expect_same_logits();
  }
  use("llama2");
  rename([](const std::string& name) { return "language_model." + name; });
  expect_same_logits();
  use("smollm2");
  rename([](const std::string& name) { return name.substr(6); });
  expect_same_logits();
}

TEST_F(FileLayout, OtherTensorsAreIgnoredWhateverTheirType) {
  use("llama2");
  file.tensors["vision.weight"] = {"F8_E4M3", {3}, "abc"};
  file.tensors["vision.weight_scale"] = {"F32", {1}, "abcd"};
  file.tensors["vision.packed"] = {"F4", {2, 3}, "abc"};
  file.tensors["vision.of_a_later_format"] = {"F3_E1M1", {8}, "abc"};
  file.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {"I8", {1}, "a"};
  expect_same_logits();
}

TEST_F(FileLayout, QuantisedWeightsAreNeverReadAsNumbers) {
  const std::string module = "model.layers.1.mlp.up_proj";
  for (const std::string dtype : {"I8", "U8", "F8_E4M3", "F8_E5M2"}) {
    use("llama2");
    auto& tensor = file.tensors[module + ".weight"];
    tensor.dtype = dtype;
    tensor.bytes.resize(tensor.bytes.size() / 4);
    expect_refused(fmt::format("tensor {}.weight: expected F64, F32, BF16 or F16, got {}: quant",
                               module, dtype));
  }
  for (const char* part : {"weight_scale", "weight_scale_inv", "qweight", "weight_packed", "absmax",
                           "weight.absmax", "SCB"}) {
    use("llama2");
    file.tensors[module + "." + part] = {"F32", {1}, "abcd"};
    expect_refused(fmt::format("tensor {}.{} belongs to quantised weights", module, part));
  }
  use("llama2");
  file.tensors[module + ".qweight"] = file.tensors[module + ".weight"];
  file.tensors.erase(module + ".weight");
  expect_refused("belongs to quantised weights");
}

TEST_F(FileLayout, EveryTensorIsCheckedBeforeOneIsRead) {
  use("llama2");
  save();
  ModelConfig sizes = load_model_config(".");
  sizes.intermediate_size = 21;
  const Weights weights(".");
  EXPECT_NE(error_of([&] { resolve_by_file(sizes, weights); }).find("expected shape"),
            std::string::npos);
  use("llama2");
  file.tensors.erase("model.layers.1.mlp.down_proj.weight");
  expect_refused("tensor model.layers.1.mlp.down_proj.weight is missing");
}

TEST_F(FileLayout, TheTypeIsThatOfTheFileWhereTheConfigHasNone) {
  for (const json& dtype : {json("auto"), json(nullptr)}) {
    use("llama2");
    config["dtype"] = dtype;
    auto& embedding = file.tensors["model.embed_tokens.weight"];
    embedding.dtype = "BF16";
    embedding.bytes.resize(embedding.bytes.size() / 2);
    save();
    ModelSpec spec;
    spec.path = ".";
    EXPECT_EQ(open_model(spec, "cpu").dtype, at::kBFloat16);
  }
}

TEST_F(FileLayout, DoublePrecisionIsRead) {
  use("llama2");
  config["dtype"] = "float64";
  for (auto& [name, tensor] : file.tensors) {
    std::string doubles;
    for (size_t i = 0; i < tensor.bytes.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, tensor.bytes.data() + i, sizeof value);
      const double wide = value;
      doubles.append(reinterpret_cast<const char*>(&wide), sizeof wide);
    }
    tensor = {"F64", tensor.shape, doubles};
  }
  expect_same_logits();
}

TEST_F(FileLayout, ShardsHoldWhatTheIndexSays) {
  use("llama2");
  save();
  fs::remove("model.safetensors");
  const std::string moved = "model.norm.weight";
  TensorFile second;
  second.tensors[moved] = file.tensors[moved];
  second.tensors["of_no_index"] = {"F8_E4M3", {1}, "a"};
  // A copy in the wrong shard that must not be read.
  file.tensors[moved].bytes.assign(file.tensors[moved].bytes.size(), '\0');
  json index;
  for (const auto& [name, tensor] : file.tensors) index["weight_map"][name] = "1.safetensors";
  index["weight_map"][moved] = "2.safetensors";
  const auto logits = [&] {
    const Decoder model(".", at::kFloat, at::kCPU);
    return model.prefill({5, 6, 7}, [](const LayerView&) {});
  };
  const auto right =
      Decoder(kData / "llama2", at::kFloat, at::kCPU).prefill({5, 6, 7}, [](const LayerView&) {});
  const auto is_right = [&] { return (logits() - right).abs().max().item<double>() <= 1e-4; };
  file.write("1.safetensors");
  second.write("2.safetensors");
  InTempDir::write("model.safetensors.index.json", index.dump());
  EXPECT_TRUE(is_right());
  index["weight_map"][moved] = "1.safetensors";
  InTempDir::write("model.safetensors.index.json", index.dump());
  EXPECT_FALSE(is_right());
  index["weight_map"]["of_no_index"] = "1.safetensors";
  InTempDir::write("model.safetensors.index.json", index.dump());
  EXPECT_NE(error_of([&] {
              logits();
            }).find("names tensor of_no_index in 1.safetensors, which does not hold it"),
            std::string::npos);
  index["weight_map"]["of_no_index"] = "3.safetensors";
  InTempDir::write("model.safetensors.index.json", index.dump());
  EXPECT_NE(error_of([&] { logits(); }).find("3.safetensors: cannot be read"), std::string::npos);
  // The single file comes first, as in transformers.
  fs::copy(kData / "llama2/model.safetensors", ".");
  EXPECT_TRUE(is_right());
}

TEST_F(FileLayout, FoldersWithoutWeightsSayWhatTheyHold) {
  const auto message = [] { return error_of([] { const Weights weights("."); }); };
  EXPECT_NE(message().find("model.safetensors: does not exist, nor does model.safetensors.index"),
            std::string::npos);
  EXPECT_NE(message().find("found no weights"), std::string::npos);
  InTempDir::write("pytorch_model.bin", "");
  EXPECT_NE(message().find("found pytorch_model.bin: only safetensors are read"),
            std::string::npos);
  InTempDir::write("adapter_model.safetensors", "");
  EXPECT_NE(message().find("found adapter_model.safetensors and 1 more: an adapter"),
            std::string::npos);
  fs::remove("adapter_model.safetensors");
  InTempDir::write("model-00001-of-00002.safetensors", "");
  EXPECT_NE(message().find("shards need the index"), std::string::npos);
  fs::create_symlink("nowhere", "model.safetensors");
  EXPECT_NE(message().find("model.safetensors: cannot be read: No such file"), std::string::npos);
  fs::remove("model.safetensors");
  InTempDir::write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0");
  EXPECT_NE(message().find("model.safetensors: a Git LFS pointer"), std::string::npos);
}

// Hub caches hold links into a folder of blobs, and other writers align nothing.
TEST_F(FileLayout, LinksAndOddTensorsAreRead) {
  use("llama2");
  file.tensors["a"] = {"U8", {3}, "abc"};
  file.tensors["b"] = {"BOOL", {}, "a"};
  file.tensors["model.layers.0.none"] = {"I16", {0, 5}, ""};
  save();
  fs::create_directory("blobs");
  fs::rename("model.safetensors", "blobs/0");
  fs::create_symlink("blobs/0", "model.safetensors");
  expect_same_logits_of_folder();
}

}  // namespace
}  // namespace kvbench
