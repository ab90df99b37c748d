// SPDX-License-Identifier: BSD-3-Clause
// The newest instruction set of the engine that this processor has.
#pragma once

namespace nervure {

inline const char* newest_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return "v4";
  if (__builtin_cpu_supports("x86-64-v3")) return "v3";
  return "v2";
#else
  return "native";
#endif
}

}  // namespace nervure
