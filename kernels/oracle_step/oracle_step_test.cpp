#include "kernels/oracle_step/oracle_step.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_heads, group, n_tokens, n_keys, head_dim;
};

TEST(OracleStep, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const auto& [H, G, T, n, d] :
         {Shape{2, 1, 0, 1, 64}, Shape{1, 1, 1, 1, 64}, Shape{2, 3, 31, 33, 80},
          Shape{1, 4, 130, 140, 16}, Shape{1, 8, 128, 129, 64}, Shape{2, 1, 300, 301, 128},
          Shape{1, 1, 5, 9, 256}}) {
      const auto query = encode(random_values(H * G * d, 1, dtype), dtype);
      const auto keys = encode(random_values(H * n * d, 2, dtype), dtype);
      auto norms = random_values(H * G * T, 3);
      for (auto& x : norms) x = std::abs(x);
      std::vector<float> want(H * T);
      const float scale = 1 / std::sqrt(static_cast<float>(d));
      OracleStep op = {H,
                       H * G,
                       T,
                       n,
                       d,
                       dtype,
                       scale,
                       query.data(),
                       {keys.data(), n * d, d},
                       norms.data(),
                       want.data()};
      TestArray of_query(query), of_keys(keys);
      TestArray of_norms(norms), importance(want);
      TestArray<uint8_t> workspace(kTestsCuda ? oracle_step_workspace_bytes(op) : 0);
      OracleStep tested = op;
      tested.query = of_query.data();
      tested.keys.data = of_keys.data();
      tested.norms = of_norms.data();
      tested.importance = importance.data();
      tested.workspace = workspace.data();
      // The second step has other weights and keeps what the first one found to matter more.
      for (const float of_step : {scale, -scale}) {
        op.scale = tested.scale = of_step;
        oracle_step_reference(op);
        const auto run = [&] { KVB_RUN(oracle_step, tested); };
        run();
        expect_near(importance.read(), want, 1e-5);
        expect_same_with_any_threads(importance, run);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
