# The CUDA kernels, by nvcc as a command: as a language of CMake's it would want a whole toolkit.
#
# Each source is compiled to PTX once, for compute capability 8.0, and from that PTX for every GPU; the
# PTX itself comes along uncompressed, for later GPUs and for kernels/ptx, which executes it in the tests.
# So what the tests run is what the product links.
set(KVBENCH_CUDA_ARCHITECTURES 80 86 89 90 100 CACHE STRING "GPUs that the CUDA kernels are assembled for")
set(nvcc_codes compute_80)
foreach(arch ${KVBENCH_CUDA_ARCHITECTURES})
  string(APPEND nvcc_codes ",sm_${arch}")
endforeach()

file(GLOB cuda_sources CONFIGURE_DEPENDS kernels/*_cuda.cu)
set(cuda_objects)
foreach(source ${cuda_sources})
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
    COMMAND ${KVBENCH_NVCC} -c ${source} -o ${object} -std=c++20 -O3 -lineinfo -I${CMAKE_SOURCE_DIR}
      -gencode arch=compute_80,code=[${nvcc_codes}] --no-compress -Xcompiler=-fPIC,-Wall,-Wextra
      --Werror all-warnings -MD -MF ${object}.d
    DEPENDS ${source} DEPFILE ${object}.d
    COMMENT "CUDA ${name}" VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()
add_library(cuda_kernels STATIC ${cuda_objects})
set_target_properties(cuda_kernels PROPERTIES LINKER_LANGUAGE CXX)
