# SPDX-License-Identifier: BSD-3-Clause
# libnervure: the engine behind the C interface, for one instruction set. What looks at the
# processor, and at the file, is compiled for any.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(level native)
elseif(levels)
  list(GET levels 0 level)
elseif(newest)
  set(level ${newest})
else()
  set(level v2)
endif()

# What decides what is computed need not be fast.
set(computing_effort -O3)
set(nervure_effort -O2)
add_library(computing OBJECT ${level_sources})
add_library(nervure SHARED ${c_sources} ${common_sources})
target_compile_definitions(nervure PRIVATE NERVURE_BUILDS_LIBRARY NERVURE_EVERY_LEVEL
                                           NERVURE_LEVEL="${level}"
                                           NERVURE_VERSION="${version}")
target_compile_definitions(computing PRIVATE NERVURE_SINGLES)
foreach(target computing nervure)
  target_compile_options(${target} PRIVATE ${engine_options} ${${target}_effort})
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
endforeach()
if(NOT level STREQUAL native)
  target_compile_options(computing PRIVATE -march=x86-64-${level})
endif()
if(level STREQUAL v4)
  target_compile_options(computing PRIVATE -mprefer-vector-width=512)
endif()
# Its threads wait for work until the process ends: it must not be unloaded under them.
if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  target_link_options(nervure PRIVATE -Wl,-z,nodelete)
endif()
target_link_libraries(nervure PRIVATE computing ${OPENBLAS} Threads::Threads)
set_target_properties(nervure PROPERTIES BUILD_RPATH "${openblas_dir}"
                                         INSTALL_RPATH "${openblas_dir}"
                                         VERSION ${version} SOVERSION 0
                                         PUBLIC_HEADER engine/c/nervure.h)
include(GNUInstallDirs)
install(TARGETS nervure LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
