// Models by name: downloaded from a hub on this machine, then used from the hub's cache.
#include <cstring>

#include "harness/cli/test_hub.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;

// The weights of the tiny model with a tensor behind them that no model needs: files are resumed in
// steps of some MiB.
std::string large_weights(size_t extra_bytes) {
  const std::string weights = read_bytes(tiny_model() / "model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, weights.data(), sizeof length);
  std::string header = weights.substr(8, length), data = weights.substr(8 + length);
  header.erase(header.find_last_of('}'));
  header +=
      fmt::format(R"(, "extra": {{"dtype": "U8", "shape": [{}], "data_offsets": [{}, {}]}}}})",
                  extra_bytes, data.size(), data.size() + extra_bytes);
  length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data + std::string(extra_bytes, 'x');
}

class Hub : public HubServer {
 protected:
  Hub() {
    for (const char* name : {"org/tiny", "org/no_weights", "gated/tiny", "private/tiny"}) {
      const fs::path model = hub() / name;
      fs::create_directories(model);
      fs::copy(tiny_model() / "config.json", model);
      fs::copy(tiny_tokenizer(), model / "tokenizer.json");
      if (model.filename() == "tiny") fs::copy(tiny_model() / "model.safetensors", model);
    }
    for (const char* unneeded : {"README.md", "pytorch_model.bin", "consolidated.safetensors",
                                 "original/params.json", "onnx/model.safetensors"}) {
      fs::create_directories((hub() / "org/tiny" / unneeded).parent_path());
      write_bytes(hub() / "org/tiny" / unneeded, "not for us");
    }
    write_bytes(folder_ / "good.ids", id_lines(0, 40));
  }

  fs::path cached(const std::string& name) const { return cache() / ("models--" + name); }

  // Of the one commit.
  fs::path snapshot(const std::string& name) const {
    return cached(name) / "snapshots" / read_bytes(cached(name) / "refs/main");
  }

  Outcome fetch(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"model", "fetch"};
    words.insert(words.end(), more.begin(), more.end());
    return kvbench(words);
  }

  static std::vector<std::string> inspect(const std::string& model) {
    return {"inspect", "--model", model, "--tokens", "good.ids", "--policy",
            "keydiff", "--ratio", "0.5", "--output", "out.h5"};
  }
};

TEST_F(Hub, FetchedOnceAndUsedByName) {
  expect_refused(
      kvbench(inspect("org/tiny")),
      {"--model: no folder", "it is not in the hub cache " + (cached("x").parent_path()).string(),
       "./kvbench model fetch org/tiny gets it"});
  const Outcome fetched = fetch({"org/tiny"});
  ASSERT_EQ(fetched.status, 0) << fetched.err;
  EXPECT_EQ(fetched.out, snapshot("org--tiny").string() + "\n");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(snapshot("org--tiny"))) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_bytes(snapshot("org--tiny") / "model.safetensors"),
            read_bytes(tiny_model() / "model.safetensors"));

  // Again: nothing is transferred.
  fs::remove(hub() / "log");
  expect_done(fetch({"org/tiny"}));
  EXPECT_EQ(log().find("/cdn/"), std::string::npos) << log();

  stop();  // used without the hub
  expect_done(kvbench(inspect("org/tiny")));
  const Outcome checked = kvbench({"model", "check", "org/tiny"});
  const std::string commit = snapshot("org--tiny").filename().string();
  EXPECT_NE(checked.out.find("hub          org/tiny at " + commit), std::string::npos)
      << checked.out;
  write_bytes(folder_ / "sweep.yaml",
              "name: tiny\nmodel: {hub: org/tiny, revision: " + commit + R"(}
chat_template: false
tasks:
  - {task: ruler/niah_single_1, lengths: [1024], samples: 1}
policies: [full]
ratios: [0.5]
)");
  // Its tokenizer has more ids than its embedding, which is found out last.
  expect_refused(kvbench({"run", "sweep.yaml"}), {"vocabulary of 96"});
}

TEST_F(Hub, InterruptedFetchGoesOn) {
  constexpr size_t kExtra = 24 << 20, kSent = 15 << 20;
  const std::string weights = large_weights(kExtra);
  write_bytes(hub() / "org/tiny/model.safetensors", weights);
  write_bytes(hub() / "cut", std::to_string(kSent));
  expect_last_line(fetch({"org/tiny"}), {"org/tiny", "broke off", "goes on where it stopped"});
  EXPECT_FALSE(fs::exists(cached("org--tiny") / "refs/main"));
  expect_refused(kvbench(inspect("org/tiny")), {"./kvbench model fetch org/tiny"});
  fs::path part;
  for (const auto& blob : fs::directory_iterator(cached("org--tiny") / "blobs")) {
    if (blob.path().extension() == ".incomplete") part = blob.path();
  }
  const size_t n_kept = fs::file_size(part);
  EXPECT_GT(n_kept, 0u);

  fs::remove(hub() / "cut");
  fs::remove(hub() / "log");
  expect_done(fetch({"org/tiny"}));
  EXPECT_EQ(read_bytes(snapshot("org--tiny") / "model.safetensors"), weights);
  const std::string rest =
      fmt::format("GET /cdn/org/tiny/model.safetensors 206 bytes={}-\n", n_kept);
  EXPECT_NE(log().find(rest), std::string::npos) << log();
  EXPECT_EQ(log().find("model.safetensors 200"), std::string::npos) << log();
  expect_done(kvbench(inspect("org/tiny")));
}

// The part of a file that is there may be of something else.
TEST_F(Hub, DamagedPartsAreFound) {
  const std::string weights = read_bytes(tiny_model() / "model.safetensors");
  expect_done(fetch({"org/tiny"}));
  const fs::path link = snapshot("org--tiny") / "model.safetensors", blob = fs::canonical(link);
  fs::remove(link);
  fs::remove(blob);
  const std::string part = blob.string() + ".incomplete";
  write_bytes(part, weights + "more");
  expect_last_line(fetch({"org/tiny"}), {"longer than the file", "blobs/*.incomplete"});
  write_bytes(part, "other bytes");
  expect_last_line(fetch({"org/tiny"}), {"model.safetensors was damaged"});
  expect_done(fetch({"org/tiny"}));
  EXPECT_EQ(read_bytes(link), weights);
}

// What others left in the cache: a snapshot without a file that the model needs.
TEST_F(Hub, IncompleteSnapshots) {
  expect_done(fetch({"org/tiny"}));
  const fs::path folder = snapshot("org--tiny");
  const auto refused = [&](const std::vector<std::string>& parts) {
    expect_refused(kvbench(inspect("org/tiny")), parts);
  };
  fs::remove(fs::canonical(folder / "model.safetensors"));  // the link stays
  refused({folder.string() + " lacks model.safetensors;",
           "./kvbench model fetch org/tiny gets the rest"});
  write_bytes(cached("org--tiny") / "blobs/0123.incomplete", "abc");
  refused({"lacks model.safetensors (a download was interrupted);"});
  write_bytes(
      folder / "model.safetensors.index.json",
      R"({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}})");
  write_bytes(folder / "model-1-of-2.safetensors", "");
  refused({"lacks model-2-of-2.safetensors"});
  fs::remove(folder / "config.json");
  refused({"lacks config.json"});
  fs::remove(folder / "model.safetensors.index.json");
  expect_done(fetch({"org/tiny"}));
  expect_done(kvbench(inspect("org/tiny")));
  write_bytes(cached("org--tiny") / "refs/main", "../../../etc");
  refused({"it is not in the hub cache", "./kvbench model fetch org/tiny gets it"});
  expect_done(fetch({"org/tiny"}));  // writes the damaged file anew
  expect_done(kvbench(inspect("org/tiny")));
}

TEST_F(Hub, RefusalsAreOneLine) {
  expect_refused(
      fetch({"org/tinny"}),
      {"model org/tinny: there is no such model at http://127.0.0.1:", "did you mean org/tiny?"});
  expect_refused(fetch({"meta-llama/Llama-3.1-8B-Instrct"}),
                 {"did you mean meta-llama/Llama-3.1-8B-Instruct?"});
  expect_refused(fetch({"org/tiny", "--revision", "v1.1"}),
                 {"no revision v1.1; did you mean v1.0? (known: main, v1.0)"});
  expect_refused(fetch({"org/no_weights"}), {"no weights in *.safetensors"});
  expect_refused(fetch({"private/tiny"}), {"no such model", "HF_TOKEN"});
  expect_last_line(fetch({"gated/tiny"}),
                   {"accept the conditions at http://127.0.0.1:", "/gated/tiny", "HF_TOKEN"});
  write_bytes(hub() / "sizes", R"({"model.safetensors": 1000000000000000})");
  expect_refused(fetch({"org/tiny"}), {"1000000.00 GB to fetch", " free at ", "HF_HOME"});
  fs::remove(hub() / "sizes");
  {
    const WithEnv wrong("HF_TOKEN", "hf_wrong");
    expect_refused(fetch({"org/tiny"}), {"refuses the token (401)", "HF_TOKEN"});
  }
  {
    const WithEnv offline("HF_HUB_OFFLINE", "1");
    expect_refused(fetch({"org/tiny"}), {"HF_HUB_OFFLINE is set", "copy the model's folder"});
  }
  const WithEnv right("HF_TOKEN", kToken);
  expect_done(fetch({"gated/tiny"}));
  expect_done(fetch({"private/tiny", "--revision", "v1.0"}));
  expect_refused(kvbench(inspect("private/tiny")), {"./kvbench model fetch private/tiny gets it"});
  stop();
  expect_refused(fetch({"org/tiny"}),
                 {"cannot be reached", "HF_ENDPOINT", "copy the model's folder here"});
}

}  // namespace
}  // namespace kvbench
