// SPDX-License-Identifier: BSD-3-Clause
// Memory of a plan, or of a thread: thread-local arrays would come out of every thread's
// stack, and can be more than that. Nothing in it is initialized.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nervure {

class Memory {
 public:
  explicit Memory(size_t bytes)
      : bytes_(std::max<size_t>(64, bytes)),
        alignment_(bytes_ < 2 * large_page ? 64 : large_page),
        memory_(::operator new(bytes_, std::align_val_t{alignment_})) {
#if defined(__linux__)
    // A page of 4 kB at a time, first use took a tenth of a short training of ResNet-18.
    if (alignment_ == large_page) ::madvise(memory_, bytes_, MADV_HUGEPAGE);
#endif
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete(memory_, std::align_val_t{alignment_}); }

  [[nodiscard]] void* data() const { return memory_; }

 private:
  static constexpr size_t large_page = size_t{1} << 21;
  size_t bytes_, alignment_;
  void* memory_;
};

}  // namespace nervure
