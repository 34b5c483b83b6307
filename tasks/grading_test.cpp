#include "tasks/grading.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/base/error.h"

namespace kvbench {
namespace {

TEST(Grading, WhatOfAPredictionIsGraded) {
  const Grading official{.metric = "", .first_line = true}, whole{.metric = ""};
  const Grading kvpress{.metric = "", .strip_start = true, .first_line = true};
  const Grading stripped{.metric = "", .strip_start = true};
  EXPECT_EQ(graded_part(official, "\n\n a \nb"), " a ");
  EXPECT_EQ(graded_part(official, " \na\nb"), " ");
  EXPECT_EQ(graded_part(whole, "\n a\nb"), "\n a\nb");
  EXPECT_EQ(graded_part(kvpress, " \u3000\n\ta \nb"), "a ");
  EXPECT_EQ(graded_part(stripped, "\n  a\nb"), "a\nb");
  EXPECT_EQ(graded_part(official, "\n\n"), "");
  EXPECT_EQ(graded_part(stripped, " \xff"), "\xff");
}

TEST(Grading, ScoresAreInPercentAndAStrictMatchStandsBeside) {
  Grading grading{.metric = "string_match_all"};
  const Answered answered{"It is 7.", {"7"}};
  EXPECT_EQ(score_of(grading, answered), 100);
  EXPECT_TRUE(std::isnan(exact_score_of(grading, answered)));
  grading.exact_too = true;
  EXPECT_EQ(exact_score_of(grading, answered), 0);
  EXPECT_EQ(exact_score_of(grading, {" 7\n", {"7"}}), 100);
}

TEST(Grading, SurvivesBeingStored) {
  const Grading grading{.metric = "rouge_score",
                        .parameters = {{"recursion_limit", "none"}},
                        .strip_start = true,
                        .exact_too = true};
  const Grading read = parse_grading(grading_json(grading), "here");
  EXPECT_EQ(describe(read), describe(grading));
  EXPECT_TRUE(read.exact_too && read.strip_start && !read.first_line);
  EXPECT_THROW(parse_grading("{\"metric\": 1}", "here"), InputError);
  EXPECT_THROW(parse_grading("{\"metrik\": \"a\"}", "here"), InputError);
}

}  // namespace
}  // namespace kvbench
