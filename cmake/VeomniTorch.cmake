# LibTorch from the PyPI wheel, as scripts/setup unpacks it. find_package(Torch) is not used: it insists on a CUDA
# toolkit with nvToolsExt even for the CPU libraries.
set(VEOMNI_TORCH "${VEOMNI_DEPS}/torch-2.11.0/torch" CACHE PATH "LibTorch 2.11.0: include/ and lib/")
if(NOT EXISTS ${VEOMNI_TORCH}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch not found at ${VEOMNI_TORCH}; run scripts/setup, or set VEOMNI_TORCH")
endif()

# The wheel also holds fmt 12 headers, which would shadow the system's fmt and then fail to link.
find_path(VEOMNI_FMT_INCLUDE fmt/format.h PATHS /usr/include REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/first_include)
file(CREATE_LINK ${VEOMNI_FMT_INCLUDE}/fmt ${CMAKE_BINARY_DIR}/first_include/fmt SYMBOLIC)

foreach(library c10 torch_cpu)
  add_library(veomni::${library} SHARED IMPORTED)
  set_target_properties(veomni::${library} PROPERTIES IMPORTED_LOCATION ${VEOMNI_TORCH}/lib/lib${library}.so)
endforeach()
add_library(veomni_torch INTERFACE)
add_library(veomni::torch ALIAS veomni_torch)
target_include_directories(veomni_torch BEFORE INTERFACE ${CMAKE_BINARY_DIR}/first_include)
target_include_directories(veomni_torch SYSTEM INTERFACE
  ${VEOMNI_TORCH}/include ${VEOMNI_TORCH}/include/torch/csrc/api/include)
target_link_libraries(veomni_torch INTERFACE veomni::torch_cpu veomni::c10)
