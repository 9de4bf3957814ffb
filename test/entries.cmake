# Which (executable, tag) pairs ctest runs: one process for a folder, not one a case, since loading LibTorch costs
# 0.25 s. Cases of test_core with several folders' tags run once, under the first of them in this list; those with
# none run under `core_other`. An entry whose tag has no cases yet passes with 0 cases.

# intercept_tls_get_addr=0: GCC 12's libasan takes the thread-local storage that glibc allocates for a library loaded
# later for glibc 2.19's, whose header it reads; the leak check then sometimes ends with `Tracer caught signal 11`.
# exitcode=99: a report in a program that a test starts is no exit code that the test may expect.
set(asan_options detect_leaks=1:detect_stack_use_after_return=1:intercept_tls_get_addr=0:exitcode=99)

# veomni_suite(<name> THREADS <OpenMP threads> SLOTS <cores it fills> SECONDS <time limit> COMMAND …)
function(veomni_suite name)
  cmake_parse_arguments(PARSE_ARGV 1 suite "" "THREADS;SLOTS;SECONDS" "COMMAND")
  if(VEOMNI_SANITIZE)
    math(EXPR suite_SECONDS "${suite_SECONDS} * 4")
  endif()
  add_test(NAME ${name} COMMAND ${suite_COMMAND})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${suite_SECONDS} PROCESSORS ${suite_SLOTS} SKIP_RETURN_CODE 77)
  set_property(TEST ${name} PROPERTY ENVIRONMENT
    OMP_NUM_THREADS=${suite_THREADS} OMP_WAIT_POLICY=passive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/test/lsan.supp:print_suppressions=0" "UBSAN_OPTIONS=print_stacktrace=1"
    ASAN_OPTIONS=${asan_options})
endfunction()

veomni_suite(base THREADS 1 SLOTS 1 SECONDS 120 COMMAND test_base)

# Ranks are threads in most of these, so one OpenMP thread each; kernels also split their loops.
set(others "~[.]")
foreach(folder_threads kernels:2 parallel:1 modalities:1 train:1)
  string(REGEX MATCH "^[a-z]+" folder ${folder_threads})
  string(REGEX MATCH "[0-9]+$" threads ${folder_threads})
  veomni_suite(core_${folder} THREADS ${threads} SLOTS ${threads} SECONDS 300
    COMMAND test_core "[${folder}]${others}" --durations no)
  string(APPEND others "~[${folder}]")
endforeach()
veomni_suite(core_other THREADS 1 SLOTS 1 SECONDS 300 COMMAND test_core "${others}" --durations no)

veomni_suite(core_gpu THREADS 1 SLOTS 1 SECONDS 300 COMMAND test_core "[gpu]" --durations no)

veomni_suite(runs THREADS 1 SLOTS 2 SECONDS 300 COMMAND test_runs --durations no)

if(TARGET test_mpi)
  foreach(ranks 2 4)
    veomni_suite(mpi_${ranks} THREADS 1 SLOTS 2 SECONDS 180
      COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe -n ${ranks} $<TARGET_FILE:test_mpi>)
    # Ranks of several machines exchange messages; those of this one do so only when told to.
    veomni_suite(mpi_${ranks}_messages THREADS 1 SLOTS 2 SECONDS 180
      COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe -n ${ranks} -x VEOMNI_SHARED_MEMORY=0 $<TARGET_FILE:test_mpi>)
  endforeach()
endif()

veomni_suite(include_rule THREADS 1 SLOTS 1 SECONDS 60 COMMAND ${CMAKE_SOURCE_DIR}/scripts/lint rules)
veomni_suite(scripts THREADS 1 SLOTS 1 SECONDS 60 COMMAND python3 ${CMAKE_SOURCE_DIR}/test/scripts_test.py)
if(NOT VEOMNI_SANITIZE)   # the sanitizers' own libraries are not installed
  veomni_suite(install THREADS 1 SLOTS 1 SECONDS 120
    COMMAND ${CMAKE_SOURCE_DIR}/test/install_test ${CMAKE_BINARY_DIR})
endif()
