// Data sets by name: downloaded from a hub on this machine, made into the files that tasks read.
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/data_sets.h"
#include "harness/base/file_lock.h"
#include "harness/base/hash.h"
#include "harness/base/process.h"
#include "harness/cli/test_hub.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;

// The hub has the data sets of data_files.py; what set-up installed is used, data are made
// elsewhere.
class DataHub : public HubServer {
 protected:
  DataHub() {
    const fs::path installed = deps_dir();
    fs::create_directory(deps());
    fs::create_directory_symlink(installed / "venv", deps() / "venv");
    fs::create_directory_symlink(installed / "stamps", deps() / "stamps");
    deps_here_ = std::make_unique<WithEnv>("KVBENCH_DEPS", deps().c_str());
    make_files({"hub", hub().string()});
  }

  fs::path deps() const { return folder_ / "deps"; }
  fs::path made(const std::string& name) const { return deps() / "data" / name; }
  fs::path published(const std::string& name) const { return hub() / "datasets" / name; }

  static void make_files(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {(deps_dir() / "venv/bin/python").string(), "-B",
                                         KVBENCH_TEST_ROOT "/harness/cli/data_files.py"});
    run_program(arguments);
  }

  Outcome fetch(const std::string& name) const { return kvbench({"data", "fetch", name}); }

  std::string line_of_list(const std::string& name) const {
    const std::string all = kvbench({"list", "data"}).out;
    const size_t start = all.find(name + " ");
    return all.substr(start, all.find('\n', start) - start);
  }

  static nlohmann::json json_of(const fs::path& file) {
    return nlohmann::json::parse(read_bytes(file));
  }

  std::unique_ptr<WithEnv> deps_here_;
};

TEST_F(DataHub, FetchedOnce) {
  EXPECT_TRUE(line_of_list("longbench").ends_with("zai-org/LongBench        not here"));
  const Outcome fetched = fetch("longbench");
  ASSERT_EQ(fetched.status, 0) << fetched.err;
  EXPECT_TRUE(line_of_list("longbench").ends_with(" here"));
  // The 21 files, the 13 of LongBench-E and the manifest: nothing else of the zip or the hub.
  EXPECT_EQ(names_below(made("longbench")).size(), 35u);
  EXPECT_EQ(read_bytes(made("longbench") / "repobench-p_e.jsonl"),
            "{\"set\": \"repobench-p_e\"}\n");
  EXPECT_EQ(log().find("README.md"), std::string::npos) << log();
  EXPECT_EQ(data_folder("longbench"), made("longbench"));

  // What was read and made, with hashes.
  const DataSet set = named_data_set("longbench");
  const DataManifest manifest = read_manifest(set);
  ASSERT_EQ(manifest.sources.size(), 1u);
  EXPECT_EQ(manifest.sources[0].sha256, sha256_file(published(set.hub) / "data.zip"));
  EXPECT_EQ(manifest.files.size(), 34u);
  for (const auto& file : manifest.files) {
    EXPECT_EQ(file.sha256, sha256_file(made("longbench") / file.name));
    EXPECT_NE(fetched.out.find("made    " + file.sha256 + "  " + file.name + "\n"),
              std::string::npos);
  }
  EXPECT_NE(fetched.out.find("hub     zai-org/LongBench at " + set.revision + "\n"),
            std::string::npos);

  // Again: the hub is not even asked, and the answer is the same.
  fs::remove(hub() / "log");
  const Outcome again = fetch("longbench");
  EXPECT_EQ(again.out, fetched.out);
  EXPECT_FALSE(fs::exists(hub() / "log"));
}

TEST_F(DataHub, MadeFromTheCacheWithoutAHub) {
  expect_done(fetch("longbench"));
  expect_done(fetch("squad"));
  stop();
  const WithEnv offline("HF_HUB_OFFLINE", "1");
  fs::remove_all(deps() / "data");
  EXPECT_TRUE(line_of_list("squad").ends_with("in the hub's cache; data fetch makes it"));
  expect_done(fetch("longbench"));
  expect_done(fetch("squad"));
  EXPECT_TRUE(fs::exists(made("squad") / "dev-v2.0.json"));
  // A cache that others filled before LongBench moved.
  fs::remove_all(deps() / "data");
  fs::rename(cache() / "datasets--zai-org--LongBench", cache() / "datasets--THUDM--LongBench");
  expect_done(fetch("longbench"));
}

TEST_F(DataHub, WhatIsNotWholeIsMadeAnew) {
  expect_done(fetch("squad"));
  const fs::path file = made("squad") / "dev-v2.0.json";
  const std::string right = read_bytes(file);
  std::string changed = right;
  changed[right.size() / 2] ^= 1;
  write_bytes(file, changed);
  const Outcome fetched = fetch("squad");
  EXPECT_EQ(fetched.err, "kvbench: dev-v2.0.json has changed; making it anew\n");
  EXPECT_EQ(read_bytes(file), right);
  // Interrupted calls: before the manifest, and beside the folder.
  fs::remove(made("squad") / "manifest.json");
  fs::create_directories(made("squad.part"));
  write_bytes(made("squad.part") / "dev-v2.0.json", "{");
  EXPECT_NE(error_of([] { data_folder("squad"); }).find("./kvbench data fetch squad gets it"),
            std::string::npos);
  expect_done(fetch("squad"));
  EXPECT_EQ(data_folder("squad"), made("squad"));
  EXPECT_FALSE(fs::exists(made("squad.part")));
  // Another call at work on it.
  const FileLock other(made("squad"), "");
  expect_refused(fetch("squad"), {"data/squad: another run", "wait for it\n"});
}

TEST_F(DataHub, InterruptedFetchGoesOn) {
  make_files({"zip", (published("zai-org/LongBench") / "data.zip").string(), "--extra", "unneeded",
              "--bytes", std::to_string(24 << 20)});
  write_bytes(hub() / "cut", std::to_string(15 << 20));
  expect_last_line(fetch("longbench"),
                   {"data set longbench: ", "broke off", "goes on where it stopped"});
  EXPECT_FALSE(fs::exists(made("longbench")));
  fs::remove(hub() / "cut");
  fs::remove(hub() / "log");
  expect_done(fetch("longbench"));
  EXPECT_NE(log().find("data.zip 206 bytes="), std::string::npos) << log();
  EXPECT_EQ(log().find("data.zip 200"), std::string::npos) << log();
}

TEST_F(DataHub, SquadInItsOfficialForm) {
  expect_done(fetch("squad"));
  EXPECT_EQ(log().find("train"), std::string::npos) << log();
  EXPECT_EQ(json_of(made("squad") / "dev-v2.0.json"), nlohmann::json::parse(R"({
    "version": "v2.0", "data": [
      {"title": "Zoo", "paragraphs": [
        {"context": "A lion.", "qas": [
          {"question": "Why 0?", "id": "q0", "is_impossible": false,
           "answers": [{"text": "lion", "answer_start": 2}, {"text": "A lion", "answer_start": 0}]},
          {"question": "Why 1?", "id": "q1", "is_impossible": true, "answers": []}]},
        {"context": "A gnu \u2028 two.", "qas": [
          {"question": "Why 2?", "id": "q2", "is_impossible": false,
           "answers": [{"text": "gnu", "answer_start": 2}]}]}]},
      {"title": "Art", "paragraphs": [
        {"context": "A gnu \u2028 two.", "qas": [
          {"question": "Why 3?", "id": "q3", "is_impossible": false,
           "answers": [{"text": "two", "answer_start": 8}]}]}]}]})"));
}

TEST_F(DataHub, HotpotQaInItsOfficialForm) {
  expect_done(fetch("hotpotqa"));
  EXPECT_EQ(json_of(made("hotpotqa") / "hotpot_dev_distractor_v1.json"), nlohmann::json::parse(R"([
    {"_id": "5a", "question": "Who?", "answer": "Ann", "type": "bridge", "level": "hard",
     "supporting_facts": [["T", 1], ["U", 0]],
     "context": [["T", ["One.", " Two."]], ["U", ["Three."]]]}])"));
}

TEST_F(DataHub, RulerInItsOfficialLayout) {
  const Outcome fetched = fetch("ruler-4096");
  ASSERT_EQ(fetched.status, 0) << fetched.err;
  EXPECT_NE(fetched.out.find("4096/test-00001-of-00002.parquet\n"), std::string::npos);
  // 13 tasks: folder and file; the manifest.
  EXPECT_EQ(names_below(made("ruler-4096")).size(), 27u);
  // Rows of both Parquet files, in order.
  std::ifstream lines(made("ruler-4096") / "niah_single_1/validation.jsonl");
  std::vector<std::string> inputs;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    EXPECT_EQ(record["index"], inputs.size());
    EXPECT_EQ(record["answer_prefix"], "It is");
    EXPECT_EQ(record["outputs"].size(), 2u);
    EXPECT_EQ(record["outputs"][1], "\u00fc");
    inputs.push_back(record["input"]);
  }
  const std::string first = "the niah_single_1 text 0\nWhat is it? ",
                    second = "the niah_single_1 text 1\nWhat is it? ";
  EXPECT_EQ(inputs, (std::vector<std::string>{first, second, first, second}));
  // As kvbench reads its own files of RULER.
  EXPECT_EQ(read_bytes(made("ruler-4096") / "vt/validation.jsonl"),
            "{\"index\": 0, \"input\": \"the vt text 0\\nWhat is it? \", \"outputs\": [\"a0\", "
            "\"\\u00fc\"], \"answer_prefix\": \"It is\"}\n"
            "{\"index\": 1, \"input\": \"the vt text 1\\nWhat is it? \", \"outputs\": [\"a1\", "
            "\"\\u00fc\"], \"answer_prefix\": \"It is\"}\n");
}

TEST_F(DataHub, RefusalsAreOneLine) {
  expect_refused(fetch("longbenhc"), {"unknown data set \"longbenhc\"; did you mean longbench?"});
  {
    const WithEnv offline("HF_HUB_OFFLINE", "1");
    expect_refused(fetch("squad"),
                   {"data set squad: HF_HUB_OFFLINE is set: unset it, or copy ",
                    "/hub/datasets--rajpurkar--squad_v2 here from a machine that has it"});
  }
  {
    const WithEnv wrong("HF_TOKEN", "hf_wrong");
    expect_refused(fetch("squad"), {"refuses the token (401)", "HF_TOKEN"});
  }
  // A task that would be a path.
  expect_last_line(fetch("ruler-8192"), {"8192/test-00000-of-00001.parquet: row 13: task: expected "
                                         "one of niah_single_1, ",
                                         "got '../niah_single_1'"});
  EXPECT_FALSE(fs::exists(made("ruler-8192")));
  EXPECT_FALSE(fs::exists(made("ruler-8192.part")));
  expect_refused(fetch("ruler-16384"),
                 {"simonjegou/ruler has no file 16384/test-*.parquet at 24ad"});
  fs::remove_all(published("rajpurkar/squad_v2"));
  expect_refused(fetch("squad"),
                 {"data set squad: there is no such data set at http://127.0.0.1:"});
  stop();
  expect_refused(fetch("hotpotqa"),
                 {"data set hotpotqa: http://127.0.0.1:", "cannot be reached", "HF_ENDPOINT",
                  "or copy ", "/hub/datasets--hotpotqa--hotpot_qa here"});
}

// What the hub publishes, or what became of it in the cache.
TEST_F(DataHub, DamagedFilesAreOneLine) {
  const fs::path zip = published("zai-org/LongBench") / "data.zip";
  const auto expect_zip = [&](const std::vector<std::string>& parts) {
    fs::remove_all(cache());
    expect_last_line(fetch("longbench"), parts);
    EXPECT_FALSE(fs::exists(made("longbench")));
  };
  const std::string right = read_bytes(zip);
  for (const char* name : {"../x", "data/../../x", "/etc/x", "data\\..\\x"}) {
    make_files({"zip", zip.string(), "--extra", name});
    expect_zip({"data.zip: it holds '", "which would lead out of its folder"});
  }
  EXPECT_FALSE(fs::exists(deps() / "data/x"));
  write_bytes(zip, right.substr(0, right.size() - 10));
  expect_zip({"data.zip is damaged (", "): remove ", "/blobs/", "and give the same command again"});
  std::string flipped = right;
  flipped[right.find("{\"set\"")] ^= 1;
  write_bytes(zip, flipped);
  expect_zip({"data.zip is damaged (Bad CRC-32"});
  std::string renamed = right;
  for (size_t at = 0; (at = renamed.find("data/lcc.jsonl", at)) != renamed.npos; ++at) {
    renamed.replace(at, 8, "data/lcd");
  }
  write_bytes(zip, renamed);
  expect_zip({"data.zip: expected data/lcc.jsonl in it; 1 of 34 files are not there"});

  const fs::path table =
                     published("hotpotqa/hotpot_qa/distractor/validation-00000-of-00001.parquet"),
                 other = published("rajpurkar/squad_v2/squad_v2/train-00000-of-00001.parquet");
  write_bytes(table, "PAR1 and no more");
  expect_last_line(fetch("hotpotqa"), {"parquet is damaged (", "): remove "});
  fs::remove_all(cache());
  fs::copy_file(other, table, fs::copy_options::overwrite_existing);
  expect_last_line(fetch("hotpotqa"), {"parquet: row 1: id: expected a text, got NoneType"});
}

}  // namespace
}  // namespace kvbench
