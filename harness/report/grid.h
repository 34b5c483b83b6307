// A table of texts and its four written forms.
#pragma once

#include <string>
#include <vector>

namespace kvbench {

enum class Format { kText, kMarkdown, kCsv, kLatex };

// "text", "md", "csv" or "latex"; throws InputError with near matches for another name.
Format parse_format(const std::string& name);

struct Grid {
  struct Column {
    std::string name;
    bool is_number = true;  // set flush right
  };
  std::string title;  // may be empty; CSV leaves it out
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`

  // Removes the columns in which every row holds `text`.
  void drop_columns_of(const std::string& text);
};

// Ends with a newline. Text is aligned with spaces, LaTeX is a tabular for pdflatex with booktabs.
std::string render(const Grid& grid, Format format);

}  // namespace kvbench
