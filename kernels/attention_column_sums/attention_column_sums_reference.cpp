#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/rows_cpu.h"

namespace kvbench {
namespace {

using Row = std::vector<double>;

// Of query i of head q to the tokens that it sees.
template <class E>
Row logits(const AttentionColumnSums& op, int64_t q, int64_t kv_head, int64_t i) {
  const auto* query = row_of<E>(op.queries, q, i);
  Row row(std::min(op.n_tokens, op.first_position() + i + 1));
  for (int64_t t = 0; t < std::ssize(row); ++t) {
    const auto* key = row_of<E>(op.keys, kv_head, t);
    for (int64_t c = 0; c < op.head_dim; ++c)
      row[t] += double{E::load(query + c)} * E::load(key + c);
    row[t] *= op.scale;
  }
  return row;
}

void to_weights(Row& row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (auto& x : row) total += x = std::exp(x - largest);
  for (auto& x : row) x /= total;
}

template <class E>
void column_sums(const AttentionColumnSums& op) {
  using Group = AttentionColumnSums::Group;
  const int64_t group = op.n_heads / op.n_kv_heads, heads_of_row = op.n_heads / op.n_rows();
  for (int64_t row = 0; row < op.n_rows(); ++row) {
    const int64_t first_head = row * heads_of_row;
    std::vector<double> sums(op.n_columns);
    for (int64_t i = 0; i < op.n_queries; ++i) {
      Row of_group;
      for (int64_t q = first_head; q < first_head + heads_of_row; ++q) {
        Row of_head = logits<E>(op, q, q / group, i);
        if (op.group != Group::kMaxLogit) to_weights(of_head);
        if (q == first_head) {
          of_group = of_head;
        } else {
          for (size_t t = 0; t < of_group.size(); ++t) {
            of_group[t] = op.group == Group::kMean ? of_group[t] + of_head[t]
                                                   : std::max(of_group[t], of_head[t]);
          }
        }
      }
      if (op.group == Group::kMaxLogit) to_weights(of_group);
      const double factor =
          op.group == Group::kMean ? op.factor / static_cast<double>(group) : op.factor;
      for (int64_t t = 0; t < std::min(op.n_columns, std::ssize(of_group)); ++t) {
        sums[t] += factor * of_group[t];
      }
    }
    std::copy(sums.begin(), sums.end(), op.out + row * op.n_columns);
  }
}

}  // namespace

void attention_column_sums_reference(const AttentionColumnSums& op) {
  with_element(op.dtype, [&](auto element) { column_sums<decltype(element)>(op); });
}

}  // namespace kvbench
