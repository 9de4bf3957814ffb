# veomni (the front) and libveomni_base.so know no LibTorch; libveomni_engine.so is loaded when a verb computes.
file(GLOB base_sources CONFIGURE_DEPENDS
  core/*.cpp core/recipe/*.cpp core/data/*.cpp core/tokenizer/*.cpp core/template/*.cpp core/checkpoint/*.cpp core/hugging_face/*.cpp
  core/generate/*.cpp
  core/report/*.cpp parallel/plan/*.cpp
  modalities/*_spec.cpp modalities/*/*_spec.cpp)
add_library(veomni_base SHARED ${base_sources} modalities/all.cpp)
target_compile_definitions(veomni_base PRIVATE VEOMNI_SPECS_ONLY VEOMNI_VERSION="${PROJECT_VERSION}")
target_link_libraries(veomni_base PUBLIC veomni_options fmt::fmt nlohmann_json::nlohmann_json
  PRIVATE ZLIB::ZLIB PNG::PNG JPEG::JPEG veomni::pcre2 veomni::utf8proc)

# The hot loops of the CPU kernels: plain C++ compiled once for each instruction set, chosen at start-up.
file(GLOB cpu_kernel_sources CONFIGURE_DEPENDS kernels/cpu/*_loops.cpp)
set(cpu_kernel_objects)
foreach(isa_flags "sse2:-march=x86-64" "avx2:-march=x86-64-v3" "avx512:-march=x86-64-v4 -mprefer-vector-width=512")
  string(REGEX REPLACE ":.*" "" isa "${isa_flags}")
  string(REGEX REPLACE "^[^:]*:" "" flags "${isa_flags}")
  separate_arguments(flags)
  if(cpu_kernel_sources)
    add_library(veomni_kernels_${isa} OBJECT ${cpu_kernel_sources})
    target_compile_options(veomni_kernels_${isa} PRIVATE ${flags} -O3 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast)
    target_compile_definitions(veomni_kernels_${isa} PRIVATE VEOMNI_ISA=${isa})
    target_link_libraries(veomni_kernels_${isa} PRIVATE veomni_options)
    list(APPEND cpu_kernel_objects $<TARGET_OBJECTS:veomni_kernels_${isa}>)
  endif()
endforeach()

file(GLOB engine_sources CONFIGURE_DEPENDS
  core/train/*.cpp kernels/*.cpp kernels/cpu/*.cpp parallel/*.cpp parallel/comm/*.cpp parallel/fsdp/*.cpp parallel/sequence/*.cpp parallel/expert/*.cpp
  modalities/*.cpp modalities/*/*.cpp cmd/engine/*.cpp)
# GCC 12's own header of these instructions warns of itself (its bug 105593).
set_source_files_properties(kernels/cpu/amx_matrix.cpp kernels/cpu/amx_pack.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_OPTIONS "-march=x86-64-v4;-mprefer-vector-width=512;-mamx-tile;-mamx-bf16;-O3;-Wno-uninitialized;-Wno-maybe-uninitialized")
list(FILTER engine_sources EXCLUDE REGEX "_spec\\.cpp$|_loops\\.cpp$")
add_library(veomni_engine SHARED ${engine_sources} ${cpu_kernel_objects})
set_target_properties(veomni_engine PROPERTIES DEFINE_SYMBOL "")   # or the tests could not share its precompiled header
target_precompile_headers(veomni_engine PRIVATE <cmake/torch_pch.h>)
target_compile_options(veomni_engine PRIVATE -fopenmp)
target_link_options(veomni_engine PRIVATE -fopenmp)
target_link_libraries(veomni_engine PUBLIC veomni_base veomni::torch MPI::MPI_C)

file(GLOB front_sources CONFIGURE_DEPENDS cmd/*.cpp)
add_executable(veomni ${front_sources})
target_link_libraries(veomni PRIVATE veomni_base veomni_leak_names CLI11::CLI11 ${CMAKE_DL_LIBS})
add_dependencies(veomni veomni_engine)

include(VeomniCuda OPTIONAL)
include(VeomniInstall OPTIONAL)
