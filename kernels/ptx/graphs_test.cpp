// What a stream records happens when its graph is launched, as often as that; what no graph can
// hold loses the recording, as on a device.
#include "kernels/ptx/graphs.h"

#include "kernels/common/test_device.h"
#include "kernels/ptx/engine.h"

namespace kvbench::ptx {
namespace {

class Graphs : public testing::Test {
 protected:
  Graphs() { cudaStreamCreate(&stream_); }
  ~Graphs() override { cudaStreamDestroy(stream_); }

  // Of what `work` puts on the stream; nullptr when the recording is lost.
  template <class F>
  cudaGraphExec_t record(F&& work) {
    EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    work();
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
    cudaGetLastError();
    if (ended != cudaSuccess) return nullptr;
    cudaGraphExec_t executable = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    return executable;
  }

  cudaStream_t stream_ = nullptr;
};

TEST_F(Graphs, HappenWhenTheyAreLaunched) {
  TestArray from(std::vector<uint8_t>{1, 2, 3, 4}), to(std::vector<uint8_t>(4));
  int n_calls = 0;
  const cudaGraphExec_t graph = record([&] {
    cudaMemcpyAsync(to.data(), from.data(), 4, cudaMemcpyDeviceToDevice, stream_);
    cudaMemsetAsync(to.data(), 9, 2, stream_);
    cudaLaunchHostFunc(
        stream_, [](void* n) { ++*static_cast<int*>(n); }, &n_calls);
    // Another stream does not wait.
    cudaMemsetAsync(from.data(), 7, 1, nullptr);
  });
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(to.read(), std::vector<uint8_t>(4));
  EXPECT_EQ(from.read(), (std::vector<uint8_t>{7, 2, 3, 4}));
  for (int n = 1; n <= 3; ++n) {
    EXPECT_EQ(cudaGraphLaunch(graph, stream_), cudaSuccess);
    EXPECT_EQ(to.read(), (std::vector<uint8_t>{9, 9, 3, 4}));
    EXPECT_EQ(n_calls, n);
    cudaMemset(to.data(), 0, 4);
  }
  cudaGraphExecDestroy(graph);
}

TEST_F(Graphs, AreLostByWhatTheyCannotHold) {
  EXPECT_EQ(record([] { cudaDeviceSynchronize(); }), nullptr);
  EXPECT_EQ(record([&] { cudaStreamSynchronize(stream_); }), nullptr);
  void* memory = nullptr;
  EXPECT_EQ(record([&] { EXPECT_NE(cudaMalloc(&memory, 16), cudaSuccess); }), nullptr);
  EXPECT_EQ(memory, nullptr);
  ASSERT_EQ(cudaMalloc(&memory, 16), cudaSuccess);
  EXPECT_EQ(record([&] { cudaFree(memory); }), nullptr);
  uint8_t byte = 5;
  TestArray to(std::vector<uint8_t>(1));
  EXPECT_EQ(record([&] { cudaMemcpy(to.data(), &byte, 1, cudaMemcpyHostToDevice); }), nullptr);
  EXPECT_EQ(to.read()[0], 0);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeThreadLocal),
            cudaErrorStreamCaptureUnsupported);
  cudaGraph_t none = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &none), cudaErrorIllegalState);
}

}  // namespace
}  // namespace kvbench::ptx
