#include "harness/config/model_spec.h"

#include <gtest/gtest.h>

#include "harness/base/paths.h"
#include "harness/base/test_util.h"
#include "harness/config/hub_cache.h"

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
            "--model: no folder " + (here / "tinyy").string() +
                ", no name ORG/NAME of the Hugging Face Hub, and " + unknown);
  EXPECT_EQ(error_in("../models/tiny"),
            "a.yaml:1: unknown model \"../models/tiny\" (known: none, tiny, tony)");
  EXPECT_EQ(error_in("{name: tiny, dtype: floot32}"),
            "a.yaml:1: unknown dtype \"floot32\"; did you mean float32? (known: bfloat16, "
            "float16, float32)");
  EXPECT_EQ(error_in("name: tiny\npath: b\n"),
            "a.yaml:2: path: expected one of name, hub and path");
  EXPECT_EQ(error_in("dtype: float32\n"), "a.yaml:1: path: expected one of name, hub and path");
  EXPECT_EQ(error_in("{name: tiny, type: float32}"),
            "a.yaml:1: unknown key \"type\" in the model; did you mean dtype? (known: dtype, hub, "
            "name, path, revision)");
  EXPECT_EQ(error_in("[tiny]"), "a.yaml:1: model: expected a name or a map, got a list");
  EXPECT_EQ(error_in("tony"),
            "./configs/models/tony.yaml:1: path: expected one of hub, fetch and path");
  EXPECT_EQ(error_in("none"),
            "./configs/models/none.yaml:2: path: expected one of hub, fetch and path");
}

// The cache of a user whose home is the working folder.
class HubModel : public testing::Test {
 protected:
  InTempDir dir;
  const std::filesystem::path here = std::filesystem::current_path();
  const WithEnv home{"HOME", here.c_str()};
  const WithEnv no_cache{"HF_HUB_CACHE", ""}, no_old_cache{"HUGGINGFACE_HUB_CACHE", ""},
      no_hub_home{"HF_HOME", ""}, no_xdg{"XDG_CACHE_HOME", ""};
  const std::string commit = std::string(39, '0') + "a", other = std::string(40, 'b');
};

TEST_F(HubModel, IsTheSnapshotOfItsRevision) {
  const auto cache = here / ".cache/huggingface/hub", model = cache / "models--org--tiny-2.5";
  ModelSpec spec = model_of("org/tiny-2.5");
  EXPECT_EQ(spec.name, "org/tiny-2.5");
  EXPECT_EQ(spec.hub, "org/tiny-2.5");
  EXPECT_EQ(spec.path, model);
  EXPECT_EQ(spec.commit, "");
  EXPECT_FALSE(spec.is_here());
  EXPECT_EQ(model_yaml(spec), "{hub: org/tiny-2.5}");

  InTempDir::write(model / "refs/main", commit);
  EXPECT_EQ(model_of("org/tiny-2.5").commit, "");  // nothing of it is there
  InTempDir::write(model / "snapshots" / commit / "config.json", "{}");
  InTempDir::write(model / "refs/refs/pr/1", other + "\n");
  InTempDir::write(model / "snapshots" / other / "config.json", "{}");
  spec = model_of("org/tiny-2.5");
  EXPECT_EQ(spec.path, model / "snapshots" / commit);
  EXPECT_EQ(spec.commit, commit);
  EXPECT_TRUE(spec.is_here());
  EXPECT_EQ(resolve_model("org/tiny-2.5").path, spec.path);
  EXPECT_EQ(model_of("{hub: org/tiny-2.5, revision: " + commit + "}").path, spec.path);
  EXPECT_EQ(model_of("{hub: org/tiny-2.5, revision: " + std::string(40, 'c') + "}").commit, "");

  spec = model_of("{hub: org/tiny-2.5, revision: refs/pr/1, dtype: float32}");
  EXPECT_EQ(spec.path, model / "snapshots" / other);
  EXPECT_EQ(fetch_command(spec), "./kvbench model fetch org/tiny-2.5 --revision refs/pr/1");
  EXPECT_EQ(model_yaml(spec),
            "{hub: org/tiny-2.5, revision: " + other + ", dtype: float32}");  // what it was then
  EXPECT_EQ(model_of(model_yaml(spec)).path, spec.path);

  // On the command line a folder of that name is meant.
  std::filesystem::create_directories("org/tiny-2.5");
  EXPECT_EQ(resolve_model("org/tiny-2.5").path, here / "org/tiny-2.5");
  EXPECT_EQ(model_of("org/tiny-2.5").path, model / "snapshots" / commit);
}

TEST_F(HubModel, CacheIsWhereTheEnvironmentSays) {
  EXPECT_EQ(hub_cache(), here / ".cache/huggingface/hub");
  const WithEnv xdg("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(hub_cache(), "/xdg/huggingface/hub");
  const WithEnv hub_home("HF_HOME", "~/hf");
  EXPECT_EQ(hub_cache(), here / "hf/hub");
  const WithEnv old_cache("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(hub_cache(), "/old");
  const WithEnv hub_cache_itself("HF_HUB_CACHE", "cache");
  EXPECT_EQ(hub_cache(), here / "cache");
}

TEST_F(HubModel, NamesAndRevisionsLeadNowhereElse) {
  for (const char* good : {"a/b", "meta-llama/Llama-3.1-8B-Instruct", "01-ai/Yi_1.5", "_a/b_"}) {
    EXPECT_TRUE(is_hub_name(good)) << good;
  }
  for (const std::string& bad :
       {std::string("a"), std::string("/b"), std::string("a/"), std::string("a/b/c"),
        std::string("../b"), std::string("a/.."), std::string("./b"), std::string("a/b..c"),
        std::string("a/b--c"), std::string("a/-b"), std::string("a/b."), std::string("a/b.git"),
        std::string("a/b c"), std::string("a/b\0", 4), std::string("a/b\n"),
        "a/" + std::string(95, 'b')}) {
    EXPECT_FALSE(is_hub_name(bad)) << bad;
  }
  EXPECT_EQ(error_in("{hub: ../tiny}"),
            "a.yaml:1: hub: expected a name ORG/NAME of the Hugging Face Hub, got \"../tiny\"");
  for (const std::string bad : {"../../x", "/etc", "--upload", "a//b", "a b", "x/"}) {
    EXPECT_EQ(error_in("{hub: org/tiny, revision: \"" + bad + "\"}"),
              "a.yaml:1: revision: expected a commit, a branch or a tag, got \"" + bad + "\"");
  }
  EXPECT_EQ(error_in("{path: tiny, revision: main}"),
            "a.yaml:1: revision: expected only beside hub");
  InTempDir::write(".cache/huggingface/hub/models--org--tiny/refs/main", "../../../../etc");
  EXPECT_EQ(model_of("org/tiny").commit, "");
  EXPECT_EQ(model_of("org/tiny").path, here / ".cache/huggingface/hub/models--org--tiny");
}

TEST_F(HubModel, NamedOnes) {
  for (const auto& name : model_names()) {
    const ModelSpec spec = named_model(name);
    EXPECT_NE(spec.hub.empty(), spec.fetch.empty()) << name;
  }
  const ModelSpec spec = model_of("qwen3-4b");
  EXPECT_EQ(spec.name, "qwen3-4b");
  EXPECT_EQ(spec.hub, "Qwen/Qwen3-4B");
  EXPECT_EQ(spec.dtype, "bfloat16");
  EXPECT_EQ(model_of("{name: qwen3-4b, dtype: float32}").dtype, "float32");
  EXPECT_EQ(not_cached_text(model_of("Qwen/Qwen3-4")),
            "it is not in the hub cache " + (here / ".cache/huggingface/hub").string() +
                "; ./kvbench model fetch Qwen/Qwen3-4 gets it; did you mean Qwen/Qwen3-4B?");
}

}  // namespace
}  // namespace kvbench
