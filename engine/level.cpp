// SPDX-License-Identifier: BSD-3-Clause
// Tells CMake the instruction set to build for.
#include "level.h"

#include <cstdio>

int main() { std::fputs(nervure::newest_level(), stdout); }
