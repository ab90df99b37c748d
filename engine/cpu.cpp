// SPDX-License-Identifier: BSD-3-Clause
// A module with one word: the newest instruction set of the engine that this processor
// has.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace {

const char* newest_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return "v4";
  if (__builtin_cpu_supports("x86-64-v3")) return "v3";
  return "v2";
#else
  return "native";
#endif
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_cpu",
                          nullptr,
                          -1,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() {
  PyObject* module = PyModule_Create(&definition);
  if (module != nullptr) PyModule_AddStringConstant(module, "level", newest_level());
  return module;
}
