// What may stand in one table: cells that differ in task, policy and ratio alone.
#pragma once

#include <string>
#include <vector>

#include "harness/report/join.h"
#include "harness/report/table.h"

namespace kvbench {

// Cells of one model, dtype, prompt rule, arithmetic, compress mode, protocol, seed and length, all
// generated or all read from files, each task with the samples of one group. The length of
// generated samples is the one asked for; of files the next power of two at or above the longest
// sample that they name; files that name none stand together.
struct Block {
  int64_t length = 0;                  // tokens, as above; 0 = files that name none
  std::string title;                   // "length 1024, compress context", then what differs
  std::vector<Value> values;           // of block_columns()
  std::vector<const Measured*> cells;  // those with rows
  std::vector<std::string> tasks;      // in the order of the cells
};

// Sorts the cells, in the order in which they come; `joined` must outlive the blocks. Of a task
// that comes in several groups (two files, two limits of the answer) the second goes into another
// block.
std::vector<Block> blocks_of(const Joined& joined);

// For programs: number and title of the block, model, dtype and all the rest.
std::vector<Column> block_columns();

}  // namespace kvbench
