#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/base/names.h"
#include "harness/base/params.h"
#include "harness/base/random.h"
#include "harness/base/registry.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

TEST(Names, NearestFirst) {
  const std::vector<std::string> known = {"full", "keydiff", "snapkv", "snapkv_kvpress"};
  EXPECT_EQ(near_matches("snapvk", known), (std::vector<std::string>{"snapkv"}));
  EXPECT_EQ(near_matches("keydif", known), (std::vector<std::string>{"keydiff"}));
  EXPECT_TRUE(near_matches("zzz", known).empty());
  EXPECT_EQ(unknown_name("policy", "ful", known),
            "unknown policy \"ful\"; did you mean full? (known: full, keydiff, snapkv, "
            "snapkv_kvpress)");
}

TEST(Names, EditDistanceCountsSwapsOnce) {
  EXPECT_EQ(edit_distance("snapkv", "snpakv"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Hash, KnownDigest) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Random, SameNumbersEverywhere) {
  Random random(42);
  EXPECT_EQ(random.next(), 13679457532755275413ULL);
  const auto drawn = Random(7).sample(1000000000000ULL, 50);
  EXPECT_EQ(std::set<size_t>(drawn.begin(), drawn.end()).size(), 50u);
  const auto all = Random(7).sample(20, 20);
  EXPECT_EQ(std::set<size_t>(all.begin(), all.end()).size(), 20u);
}

enum class Pooling { kAvg, kMax };

TEST(Params, ReadsChecksAndDocuments) {
  Params p("scorer demo", "a.yaml", {{"window", "64", 3}, {"pooling", "max", 4}});
  int64_t window = 32;
  double eps = 0.5;
  Pooling pooling = Pooling::kAvg;
  p.get("window", window, "last queries that vote");
  p.get("eps", eps, "floor");
  p.choice("pooling", pooling, {{"avg", Pooling::kAvg}, {"max", Pooling::kMax}}, "pooling");
  p.finish();
  EXPECT_EQ(window, 64);
  EXPECT_EQ(pooling, Pooling::kMax);
  EXPECT_EQ(p.canonical(), "eps=0.5,pooling=max,window=64");
}

TEST(Params, BadInputNamesPlaceAndNearestName) {
  Params p("scorer demo", "a.yaml", {{"windw", "64", 3}, {"kernel", "x", 4}});
  int64_t window = 32, kernel = 5;
  p.get("window", window, "");
  try {
    p.get("kernel", kernel, "");
    FAIL() << "a word was read as an integer";
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "a.yaml:4: scorer demo: kernel: expected an integer, got \"x\"");
  }
  try {
    p.finish();
    FAIL() << "an unknown parameter passed";
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "a.yaml:3: scorer demo: unknown parameter \"windw\"; did you mean window? (known: "
                 "window)");
  }
}

TEST(Params, FilesAreKnownByTheirContent) {
  const std::filesystem::path folder = process_folder() / "params_file";
  std::filesystem::create_directories(folder / "configs");
  std::ofstream(folder / "a.bin") << "abc";
  std::ofstream(folder / "configs/b.bin") << "abc";
  const auto read = [&](const Params::Given& given) {
    Params p("scorer demo", (folder / "configs/x.yaml").string(), {given});
    std::filesystem::path file, absent;
    p.file("table", file, "what it reads");
    p.file("other", absent, "not given");
    p.finish();
    EXPECT_EQ(absent, "");
    EXPECT_EQ(p.file_hashes(), fmt::format("{} {}\n", file.string(), sha256_hex("abc")));
    return std::pair(file, p.canonical());
  };
  // Relative to the file in which it stands, not to the configuration that names it.
  const auto [a, one] = read({"table", "../a.bin", 3});
  EXPECT_EQ(a, folder / "a.bin");
  const auto [b, two] = read({"table", "b.bin", 7, (folder / "configs/y.yaml").string()});
  EXPECT_EQ(b, folder / "configs/b.bin");
  // Typed on the command line.
  const auto here = std::filesystem::relative(folder / "a.bin");
  EXPECT_EQ(read({"table", here.string(), 0, "--set x"}).first, folder / "a.bin");
  EXPECT_EQ(one, "other=,table=" + sha256_hex("abc"));
  EXPECT_EQ(one, two);
  try {
    read({"table", "../none.bin", 3});
    FAIL() << "a file that is not there was read";
  } catch (const InputError& e) {
    EXPECT_EQ(e.what(),
              fmt::format("{}:3: scorer demo: table: no such file: {}",
                          (folder / "configs/x.yaml").string(), (folder / "none.bin").string()));
  }
  std::filesystem::remove_all(folder);
}

struct Part {
  static const char* kind() { return "part"; }
  virtual ~Part() = default;
};
struct PartA : Part {
  explicit PartA(Params&) {}
};
KVB_REGISTER(Part, "a", PartA, "a part");

TEST(Registry, DuplicateIsAnError) {
  auto& registry = Registry<Part>::instance();
  EXPECT_EQ(registry.names(), std::vector<std::string>{"a"});
  EXPECT_THROW(registry.find("b"), InputError);
  EXPECT_TRUE(registry.conflict().empty());
  EXPECT_FALSE(registry.add("a", nullptr, "", "here.cpp"));
  EXPECT_NE(registry.conflict().find("\"a\" is registered twice"), std::string::npos);
  EXPECT_THROW(registry.find("a"), std::logic_error);
}

TEST(CurrentError, IsOneLineWhateverWasThrown) {
  const auto said = [](auto&& thrown) {
    try {
      throw thrown;
    } catch (...) {
      return current_error();
    }
  };
  EXPECT_EQ(said(std::runtime_error("one\ntwo")), "one");
  EXPECT_EQ(said(InputError("a")), "a");
  EXPECT_EQ(said(7), "an error of an unknown type");
  EXPECT_NE(said(std::runtime_error("")), "");
}

TEST(InputErrors, AreOneLine) {
  EXPECT_STREQ(InputError("a\nb\tc\x01"
                          "d \xc3\xa9")
                   .what(),
               "a b c d \xc3\xa9");
}

}  // namespace
}  // namespace kvbench
