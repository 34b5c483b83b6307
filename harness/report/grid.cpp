#include "harness/report/grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/text.h"

namespace kvbench {
namespace {

using Row = std::vector<std::string>;
using Escape = std::function<std::string(const std::string&)>;

Row header(const Grid& grid) {
  Row names;
  for (const auto& column : grid.columns) names.push_back(column.name);
  return names;
}

size_t width_of(const std::string& text) { return static_cast<size_t>(count_code_points(text)); }

// Every cell padded to its column's width, escaped first.
std::vector<Row> aligned(const Grid& grid, const Escape& escape, size_t least) {
  std::vector<Row> rows = {header(grid)};
  rows.insert(rows.end(), grid.rows.begin(), grid.rows.end());
  for (Row& row : rows) std::transform(row.begin(), row.end(), row.begin(), escape);
  for (size_t i = 0; i < grid.columns.size(); ++i) {
    size_t width = least;
    for (const Row& row : rows) width = std::max(width, width_of(row[i]));
    for (Row& row : rows) {
      const std::string gap(width - width_of(row[i]), ' ');
      row[i] = grid.columns[i].is_number ? gap + row[i] : row[i] + gap;
    }
  }
  return rows;
}

std::string text(const Grid& grid) {
  const auto rows = aligned(
      grid, [](const std::string& cell) { return cell; }, 0);
  std::string out = grid.title.empty() ? "" : grid.title + "\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string line = fmt::format("{}", fmt::join(rows[i], "  "));
    const size_t width = width_of(line);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (i == 0) out += std::string(width, '-') + "\n";
  }
  return out;
}

std::string markdown(const Grid& grid) {
  const auto escape = [](const std::string& cell) {
    std::string escaped;
    for (const char c : cell) escaped += c == '|' ? "\\|" : std::string(1, c);
    return escaped;
  };
  const auto rows = aligned(grid, escape, 3);
  std::string out = grid.title.empty() ? "" : "**" + grid.title + "**\n\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    out += fmt::format("| {} |\n", fmt::join(rows[i], " | "));
    if (i > 0) continue;
    for (size_t j = 0; j < rows[0].size(); ++j) {
      std::string rule(width_of(rows[0][j]), '-');
      if (grid.columns[j].is_number) rule.back() = ':';
      out += "| " + rule + " ";
    }
    out += "|\n";
  }
  return out;
}

std::string csv(const Grid& grid) {
  std::string out;
  const auto line = [&](const Row& row) {
    Row cells;
    for (const auto& cell : row) {
      std::string quoted;
      for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
      const bool plain = cell.find_first_of(",\"\r\n") == std::string::npos;
      cells.push_back(plain ? cell : "\"" + quoted + "\"");
    }
    out += fmt::format("{}\n", fmt::join(cells, ","));
  };
  line(header(grid));
  for (const Row& row : grid.rows) line(row);
  return out;
}

// Of characters beyond ASCII pdflatex's first font has the letters of Western Europe for sure; all
// others are named instead.
std::string unicode_latex(std::string_view character) {
  char32_t point = static_cast<unsigned char>(character[0]);
  if (point >= 0xc0) point &= 0x3fU >> (character.size() - 1);
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned>(c) & 0x3f);
  const bool is_icelandic = point == 0xd0 || point == 0xde || point == 0xf0 || point == 0xfe;
  if (point >= 0xc0 && point <= 0xff && !is_icelandic) return std::string(character);
  return fmt::format("U+{:04X}", static_cast<uint32_t>(point));
}

std::string escape_latex(const std::string& cell) {
  static const std::map<char, std::string> commands = {
      {'\\', "\\textbackslash{}"},
      {'~', "\\textasciitilde{}"},
      {'^', "\\textasciicircum{}"},
      {'<', "\\textless{}"},
      {'>', "\\textgreater{}"},
      {'|', "\\textbar{}"},
      {'[', "{[}"},  // after \\ it would begin an option
      {'*', "{*}"}};
  std::string escaped;
  for (size_t i = 0; i < cell.size();) {
    size_t end = i + 1;
    while (end < std::min(cell.size(), i + 4) && (cell[end] & 0xc0) == 0x80) ++end;
    const char c = cell[i];
    if (end - i > 1 || (c & 0x80) != 0) {
      escaped += unicode_latex({cell.data() + i, end - i});
    } else if (const auto command = commands.find(c); command != commands.end()) {
      escaped += command->second;
    } else if (std::string_view("&%$#_{}").find(c) != std::string_view::npos) {
      escaped += fmt::format("\\{}", c);
    } else {
      escaped += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
    i = end;
  }
  return escaped;
}

std::string latex(const Grid& grid) {
  const auto rows = aligned(grid, escape_latex, 0);
  std::string spec;
  for (const auto& column : grid.columns) spec += column.is_number ? 'r' : 'l';
  std::string out = grid.title.empty() ? "" : "% " + grid.title + "\n";
  out += fmt::format("\\begin{{tabular}}{{{}}}\n\\toprule\n", spec);
  for (size_t i = 0; i < rows.size(); ++i) {
    out += fmt::format("{} \\\\\n", fmt::join(rows[i], " & "));
    if (i == 0) out += "\\midrule\n";
  }
  return out + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace

Format parse_format(const std::string& name) {
  if (name == "text") return Format::kText;
  if (name == "md") return Format::kMarkdown;
  if (name == "csv") return Format::kCsv;
  if (name == "latex") return Format::kLatex;
  throw_input_error("--format: {}", unknown_name("format", name, {"text", "md", "csv", "latex"}));
}

void Grid::drop_columns_of(const std::string& value) {
  for (size_t i = columns.size(); i-- > 0;) {
    const auto holds = [&](const Row& row) { return row[i] == value; };
    if (!std::all_of(rows.begin(), rows.end(), holds)) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    columns.erase(columns.begin() + at);
    for (Row& row : rows) row.erase(row.begin() + at);
  }
}

std::string render(const Grid& grid, Format format) {
  switch (format) {
    case Format::kText:
      return text(grid);
    case Format::kMarkdown:
      return markdown(grid);
    case Format::kCsv:
      return csv(grid);
    case Format::kLatex:
      return latex(grid);
  }
  KVB_CHECK(false, "format {}", static_cast<int>(format));
}

}  // namespace kvbench
