#include "harness/report/blocks.h"

#include <gtest/gtest.h>

#include "harness/report/summary.h"
#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

using Lines = std::vector<std::string>;

CellRow from_file(const std::string& source, int64_t length, const std::string& task = "qa_1") {
  CellRow row = cell(task, "full", 0);
  row.source = source;
  row.max_length = length;
  row.seed = 0;
  return row;
}

Lines titles(const std::vector<Results>& files) {
  const Joined joined = join(files);
  Lines titles;
  for (const Block& block : blocks_of(joined)) titles.push_back(block.title);
  return titles;
}

TEST(Blocks, TasksAndPoliciesOfOneKindShareOne) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {1});
  add(a, cell("cwe", "full", 0), {1});
  add(a, cell("vt", "x", 0.5), {1});
  EXPECT_EQ(titles({a}), Lines{"length 1024, compress context"});
}

// Two files under one task: 100 and 66.7 apart, where one average would be neither.
TEST(Blocks, TwoFilesOfOneTaskAreTwo) {
  Results a = file("a.h5");
  add(a, from_file("two.jsonl", 500), {100, 100});
  add(a, from_file("three.jsonl", 510), {100, 100, 0});
  const Joined joined = join({a});
  const auto blocks = blocks_of(joined);
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0].title, "length 500, compress context, from two.jsonl");
  EXPECT_EQ(blocks[1].title, "length 510, compress context, from three.jsonl");
  EXPECT_DOUBLE_EQ(blocks[0].cells.at(0)->cell.mean, 100);
  EXPECT_NEAR(blocks[1].cells.at(0)->cell.mean, 66.667, 0.001);
}

TEST(Blocks, TasksOfAFileEachShareOneUpToTheNextPowerOfTwo) {
  Results a = file("a.h5");
  add(a, from_file("vt/4k.jsonl", 4096, "vt"), {1, 1});
  a.rows.back().max_length = 3791;
  add(a, from_file("qa/4k.jsonl", 4000, "qa_1"), {1});
  add(a, from_file("vt/16k.jsonl", 16000, "vt"), {1});
  EXPECT_EQ(titles({a}),
            (Lines{"length 3791 to 4096, compress context", "length 16000, compress context"}));
}

TEST(Blocks, SeedsProtocolsLengthsAndCompressModesAreApart) {
  Results a = file("a.h5");
  for (const char* what : {"", "seed", "protocol", "length", "compress"}) {
    CellRow row = cell("vt", "full", 0);
    if (what == std::string("seed")) row.seed = 7;
    if (what == std::string("protocol")) row.protocol = "lukv";
    if (what == std::string("length")) row.max_length = 2048;
    if (what == std::string("compress")) row.compress = "prompt";
    row.policy_id = what;
    add(a, row, {1});
  }
  EXPECT_EQ(titles({a}), (Lines{"length 1024, compress context, protocol official, seed 42",
                                "length 1024, compress context, protocol official, seed 7",
                                "length 1024, compress context, protocol lukv, seed 42",
                                "length 2048, compress context, protocol official, seed 42",
                                "length 1024, compress prompt, protocol official, seed 42"}));
}

TEST(Blocks, ModelsAreApartAndHashesNamedOnlyWhereNothingElseTells) {
  Results a = file("a.h5", "one"), b = file("b.h5", "two"), c = file("c.h5", "two");
  c.info.model_hash = "0123456789";
  b.info.prompt_hash = "template of b";
  for (Results* results : {&a, &b, &c}) add(*results, cell("vt", "full", 0), {1});
  EXPECT_EQ(titles({a, b}),
            (Lines{"length 1024, compress context, one", "length 1024, compress context, two"}));
  EXPECT_EQ(titles({b, c}), (Lines{"length 1024, compress context, weights hash of ",
                                   "length 1024, compress context, weights 01234567"}));
}

TEST(Blocks, DtypesAndTemplatesAreApart) {
  Results a = file("a.h5"), b = file("b.h5"), c = file("c.h5");
  b.info.dtype = "bfloat16";
  c.info.prompt_hash = "abcdef0123";
  add(a, cell("vt", "full", 0), {1});
  for (Results* results : {&b, &c}) {
    CellRow row = cell("vt", "full", 0);
    row.policy_id = results->file.string();
    add(*results, row, {1});
  }
  EXPECT_EQ(titles({a, b}), (Lines{"length 1024, compress context, dtype float32",
                                   "length 1024, compress context, dtype bfloat16"}));
  EXPECT_EQ(titles({a, c}), (Lines{"length 1024, compress context",
                                   "length 1024, compress context, template abcdef01"}));
}

// Same task, source and seed, but another group (a limit of the answer, say).
TEST(Blocks, GroupsAreApartWhateverDistinguishesThem) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {1});
  CellRow other = a.cells[0];
  add(a, cell("vt", "full", 0), {2});
  a.cells[1].group_id = "9876543210";
  a.cells[1].cell_id = a.rows[1].cell_id = "another";
  EXPECT_EQ(titles({a}).at(1), "length 1024, compress context, samples 98765432");
}

}  // namespace
}  // namespace kvbench
