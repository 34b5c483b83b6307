#include "harness/config/model_spec.h"

#include <gtest/gtest.h>

#include "harness/base/paths.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

ModelSpec model_of(const std::string& text) { return parse_model(parse_yaml(text, "a.yaml")); }

std::string error_in(const std::string& text) {
  return error_of([&] { model_of(text); });
}

TEST(Model, Named) {
  for (const ModelSpec& model :
       {model_of("smollm2-135m-instruct"), model_of("{name: smollm2-135m-instruct}"),
        resolve_model("smollm2-135m-instruct")}) {
    EXPECT_EQ(model.name, "smollm2-135m-instruct");
    EXPECT_EQ(model.fetch, "smollm2-135m-instruct");
    EXPECT_EQ(model.path, deps_dir() / "models" / "smollm2-135m-instruct");
    EXPECT_EQ(model.dtype, "bfloat16");
    EXPECT_TRUE(model.is_named);
  }
  EXPECT_EQ(model_of("{name: smollm2-135m-instruct, dtype: float32}").dtype, "float32");
}

TEST(Model, Folder) {
  const ModelSpec model = model_of("{path: some/where/tiny/, dtype: float16}");
  EXPECT_EQ(model.name, "tiny");
  EXPECT_EQ(model.path, std::filesystem::current_path() / "some/where/tiny/");
  EXPECT_EQ(model.dtype, "float16");
  EXPECT_FALSE(model.is_named);
  EXPECT_EQ(model_of("{path: some/tiny}").dtype, "");

  InTempDir dir;
  InTempDir::write("tiny/config.json", "{}");
  EXPECT_EQ(resolve_model("tiny").path, std::filesystem::current_path() / "tiny");
}

TEST(Model, Errors) {
  const WithEnv root("KVBENCH_ROOT", ".");
  InTempDir dir;
  InTempDir::write("configs/models/tiny.yaml", "path: ../../models/tiny\n");
  InTempDir::write("configs/models/tony.yaml", "path: a\nfetch: b\n");
  InTempDir::write("configs/models/none.yaml", "\ndtype: float32\n");
  EXPECT_EQ(model_names(), (std::vector<std::string>{"none", "tiny", "tony"}));
  const auto here = std::filesystem::current_path();
  EXPECT_EQ(model_of("tiny").path, here / "models/tiny");

  const std::string unknown =
      "unknown model \"tinyy\"; did you mean tiny? (known: none, tiny, tony)";
  EXPECT_EQ(error_in("\ntinyy\n"), "a.yaml:2: " + unknown);
  EXPECT_EQ(error_in("dtype: float32\nname: tinyy\n"), "a.yaml:2: " + unknown);
  EXPECT_EQ(error_of([] { resolve_model("tinyy"); }),
            "--model: no folder " + (here / "tinyy").string() + ", and " + unknown);
  EXPECT_EQ(error_in("../models/tiny"),
            "a.yaml:1: unknown model \"../models/tiny\" (known: none, tiny, tony)");
  EXPECT_EQ(error_in("{name: tiny, dtype: floot32}"),
            "a.yaml:1: unknown dtype \"floot32\"; did you mean float32? (known: bfloat16, "
            "float16, float32)");
  EXPECT_EQ(error_in("name: tiny\npath: b\n"), "a.yaml:2: path: expected either path or name");
  EXPECT_EQ(error_in("dtype: float32\n"), "a.yaml:1: path: expected either path or name");
  EXPECT_EQ(error_in("{name: tiny, type: float32}"),
            "a.yaml:1: unknown key \"type\" in the model; did you mean dtype? (known: dtype, name, "
            "path)");
  EXPECT_EQ(error_in("[tiny]"), "a.yaml:1: model: expected a name or a map, got a list");
  EXPECT_EQ(error_in("tony"), "./configs/models/tony.yaml:1: path: expected either path or fetch");
  EXPECT_EQ(error_in("none"), "./configs/models/none.yaml:2: path: expected either path or fetch");
}

}  // namespace
}  // namespace kvbench
