// Everything that the page and the plots show, as JSON: pages and plots compute nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// An object of UTF-8 texts and numbers (null where there is none):
//   title, question, answers, warnings, origins   texts
//   tables   {title, columns: [{name, is_number}], rows: [[text]], is_long}: as people read them
//   blocks   {block, title, length, model}; the rows below name their block by number
//   scores   a row per block, policy, ratio and task, the task "average" included: score, interval,
//            n, share and bytes kept, by the columns' names of `--table summary --format csv`
//   choices  a row per block, policy and ratio: its average with TPOT and TTFT where measured
//            (choices.h)
//   worst    {block, policy, ratio, task, sample, score, full_score, said, full_said, expected,
//            prompt_tail} of the worst samples (worst.h), and `needle` {n_layers, n_kv_heads, kept:
//            [layer-major]}, shares of the needle's tokens; null where the file does not say
//   budgets  {block, policy, ratio, n_layers, n_kv_heads, kept: [layer-major]} of those policies
//            that keep another share in each head; `even_budgets` names the others
// Throws InputError for a file that cannot be read.
std::string page_data(const std::vector<std::filesystem::path>& files, bool regrade);

}  // namespace kvbench
