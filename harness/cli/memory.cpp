#include "harness/cli/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace kvbench {
namespace {

// LibTorch registers its thousands of operators while it is loaded. The code and constants that
// this touches stay resident, 45 MiB, of which a run reads 10 again: they are dropped, and what is
// wanted comes back from the file. Writable segments, relocations with them, are left alone.
void drop_start_pages_of_libtorch() {
  const auto drop = [](dl_phdr_info* object, size_t, void*) {
    if (std::string_view(object->dlpi_name).find("/libtorch") == std::string_view::npos) return 0;
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
      const uintptr_t begin = object->dlpi_addr + segment.p_vaddr, first = begin / page * page;
      madvise(reinterpret_cast<void*>(first), begin + segment.p_memsz - first, MADV_DONTNEED);
    }
    return 0;
  };
  dl_iterate_phdr(drop, nullptr);
}

// LibTorch asks posix_memalign, which in glibc before 2.38 cuts slivers off a larger block; the
// next small object to settle in one of them keeps the block from being used for its size again,
// and the heap grows with every layer. A block of malloc with its own room to align fits where an
// equal one was.
class AlignedBlocks final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t n) override {
    const auto device = c10::Device(c10::kCPU);
    if (n == 0) return {nullptr, device};
    void* block = n > SIZE_MAX - kAlignment ? nullptr : std::malloc(n + kAlignment);
    TORCH_CHECK(block != nullptr, "no memory for a tensor of ", n, " bytes");
    void* data =
        reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(block) / kAlignment + 1) * kAlignment);
    static_cast<void**>(data)[-1] = block;
    return {data, data, &release, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n) const override {
    default_copy_data(to, from, n);
  }

 private:
  static constexpr uintptr_t kAlignment = 64;  // malloc's is 16, so that a pointer fits before data

  static void release(void* data) {
    if (data != nullptr) std::free(static_cast<void**>(data)[-1]);
  }
};

// A heap without holes is free at its end after each context. Given back there and then, it would
// be mapped again for the next one, 1 to 2 % of a sweep's time.
void keep_end_of_heap() {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // glibc's own upper bound, which it no longer moves to
}

}  // namespace

void keep_memory_small() {
  drop_start_pages_of_libtorch();
  static AlignedBlocks allocator;
  c10::SetCPUAllocator(&allocator, 1);
  keep_end_of_heap();
}

}  // namespace kvbench
