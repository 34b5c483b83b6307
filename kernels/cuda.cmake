# The CUDA kernels, by nvcc as a command: as a language of CMake's it would want a whole toolkit.
#
# Each source is compiled to PTX once, for compute capability 8.0, and from that PTX for every GPU; the
# PTX itself comes along uncompressed, for later GPUs and for kernels/ptx, which executes it in the tests.
# So what the tests run is what the product links.

# A sanitizer build links them, out of another build, and never runs them.
if(KVBENCH_CUDA_KERNELS)
  add_library(cuda_kernels STATIC IMPORTED)
  set_target_properties(cuda_kernels PROPERTIES IMPORTED_LOCATION ${KVBENCH_CUDA_KERNELS})
  return()
endif()

# nvcc of LibTorch's CUDA, by its first number: the machine's, or set-up's out of wheels
# (harness/toolchain/setup.sh cuda).
string(REGEX MATCH "[0-9]+$" cuda_major ${CUDA_RUNTIME})
function(kvb_nvcc_fits result nvcc)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE said ERROR_QUIET)
  if(NOT said MATCHES "release ${cuda_major}\\.")
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
find_program(KVBENCH_NVCC nvcc PATHS /usr/local/cuda/bin ${cuda_runtime_dir}/../bin VALIDATOR kvb_nvcc_fits)
if(NOT KVBENCH_NVCC)
  message(FATAL_ERROR "no nvcc of CUDA ${cuda_major}; run ./kvbench once, it installs one")
endif()

set(KVBENCH_CUDA_ARCHITECTURES 80 86 89 90 100 CACHE STRING "GPUs that the CUDA kernels are assembled for")
set(nvcc_codes compute_80)
foreach(arch ${KVBENCH_CUDA_ARCHITECTURES})
  string(APPEND nvcc_codes ",sm_${arch}")
endforeach()

# The object of a source, in `objects`.
function(kvb_cuda_object source objects)
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
    # What ptxas says of registers goes into a file beside the object, for kernels/resources.
    COMMAND sh -c [["$@" 2>"$0" || { cat "$0" >&2; exit 1; }]] ${object}.ptxas
      ${KVBENCH_NVCC} -c ${source} -o ${object} -std=c++20 -O3 -lineinfo -I${CMAKE_SOURCE_DIR}
      -gencode arch=compute_80,code=[${nvcc_codes}] --no-compress -Xcompiler=-fPIC,-Wall,-Wextra -Xptxas -v
      --Werror all-warnings -MD -MF ${object}.d
    DEPENDS ${source} DEPFILE ${object}.d
    COMMENT "CUDA ${name}" VERBATIM)
  set(${objects} ${${objects}} ${object} PARENT_SCOPE)
endfunction()

file(GLOB cuda_sources CONFIGURE_DEPENDS kernels/*/*_cuda.cu)
set(cuda_objects)
foreach(source ${cuda_sources})
  kvb_cuda_object(${source} cuda_objects)
endforeach()
add_library(cuda_kernels STATIC ${cuda_objects})
set_target_properties(cuda_kernels PROPERTIES LINKER_LANGUAGE CXX)

get_filename_component(cuda_folder ${KVBENCH_NVCC} DIRECTORY)
find_path(KVBENCH_CUDA_HEADERS cuda_runtime_api.h HINTS ${cuda_folder}/../include REQUIRED)

# ---- their registers, spills and occupancy (kernels/resources/resources.py) -----------------------
add_executable(occupancy kernels/resources/occupancy.cpp)
target_include_directories(occupancy SYSTEM PRIVATE ${KVBENCH_CUDA_HEADERS})
target_link_libraries(occupancy PRIVATE warnings)
set(resources ${KVBENCH_DEPS}/venv/bin/python ${CMAKE_SOURCE_DIR}/kernels/resources/resources.py)
add_test(NAME Resources.OfTheKernels COMMAND ${resources} ${cuda_objects})
add_test(NAME Resources.OccupancyIsTheToolkits COMMAND ${resources} --occupancy $<TARGET_FILE:occupancy>)
set_tests_properties(Resources.OfTheKernels Resources.OccupancyIsTheToolkits PROPERTIES LABELS unit)

add_custom_target(record_resources COMMAND ${resources} ${cuda_objects} --record DEPENDS ${cuda_objects})

# ---- tests of the CUDA kernels without a GPU (kernels/ptx/README.md) -----------------------------
# The tests of the operators once more, on the very objects above: kernels/ptx executes their PTX and
# stands in for the CUDA runtime.
file(GLOB ptx_sources CONFIGURE_DEPENDS kernels/ptx/*.cpp)
list(FILTER ptx_sources EXCLUDE REGEX "_(test|main)\\.cpp$")
add_library(ptx_engine OBJECT ${ptx_sources})
target_include_directories(ptx_engine PUBLIC ${CMAKE_SOURCE_DIR})
target_include_directories(ptx_engine SYSTEM PUBLIC ${KVBENCH_CUDA_HEADERS})
# Registers are the same bytes as integers and as floats, and what is fused is the kernel's affair.
target_compile_options(ptx_engine PRIVATE -fno-strict-aliasing -ffp-contract=off)
target_link_libraries(ptx_engine PRIVATE warnings)

function(kvb_ptx_tests name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} kernels/ptx/test_main.cpp)
  target_compile_definitions(${name} PRIVATE KVBENCH_TEST_CUDA KVBENCH_TEST_ROOT="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ptx_engine operators)
  kvb_test_options(${name} test_headers)
  gtest_discover_tests(${name} TEST_PREFIX Ptx. DISCOVERY_TIMEOUT 60 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT "OMP_NUM_THREADS=1")
endfunction()

kvb_ptx_tests(kernels_ptx_test SOURCES ${operator_tests} LINK $<LINK_LIBRARY:WHOLE_ARCHIVE,cuda_kernels>)

# The engine's own tests.
set(nvcc_codes compute_80)
set(ptx_test_objects)
file(GLOB ptx_test_kernels CONFIGURE_DEPENDS kernels/ptx/*.cu)
foreach(source ${ptx_test_kernels})
  kvb_cuda_object(${source} ptx_test_objects)
endforeach()
add_library(ptx_test_kernels STATIC ${ptx_test_objects})
set_target_properties(ptx_test_kernels PROPERTIES LINKER_LANGUAGE CXX)
file(GLOB ptx_tests CONFIGURE_DEPENDS kernels/ptx/*_test.cpp)
kvb_ptx_tests(ptx_engine_test SOURCES ${ptx_tests} LINK ptx_test_kernels)

# Other orders of blocks and warps give equal bits; each barrier that is dropped is found missing.
foreach(name Seeds Mutation)
  string(TOLOWER ${name} script)
  add_test(NAME Ptx.${name} COMMAND ${KVBENCH_DEPS}/venv/bin/python
    ${CMAKE_SOURCE_DIR}/kernels/ptx/${script}.py $<TARGET_FILE:kernels_ptx_test>)
  set_tests_properties(Ptx.${name} PROPERTIES LABELS ${script} TIMEOUT 900)
endforeach()

# The tests' tolerances are wide enough for a device's approximations, and there is no kernel without a test.
add_test(NAME Ptx.Inaccurate COMMAND kernels_ptx_test --gtest_brief=1 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(Ptx.Inaccurate PROPERTIES LABELS unit TIMEOUT 300
  ENVIRONMENT "OMP_NUM_THREADS=1;KVBENCH_PTX_INACCURATE=1;KVBENCH_PTX_ALL=1")
add_test(NAME Ptx.Launchers COMMAND ${KVBENCH_DEPS}/venv/bin/python ${CMAKE_SOURCE_DIR}/kernels/ptx/launchers.py
  ${CMAKE_BINARY_DIR}/cuda)
set_tests_properties(Ptx.Launchers PROPERTIES LABELS unit)

# ---- the bytes that they move (kernels/figures/figures.py) ----------------------------------------
add_executable(kernel_figures kernels/figures/figures.cpp)
target_link_libraries(kernel_figures PRIVATE cuda_kernels ptx_engine operators warnings)
add_test(NAME Ptx.Figures COMMAND ${KVBENCH_DEPS}/venv/bin/python ${CMAKE_SOURCE_DIR}/kernels/figures/figures.py
  $<TARGET_FILE:kernel_figures>)
set_tests_properties(Ptx.Figures PROPERTIES LABELS unit TIMEOUT 300)
