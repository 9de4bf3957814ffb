# `cmake --install build/release --prefix X` gives a tree that runs from anywhere:
#   bin/veomni   lib/libveomni_*.so   lib/veomni/{torch,nvidia}/…   share/veomni/recipes   share/doc/veomni
# LibTorch keeps the folders of its wheel, since its libraries find one another and CUDA's by $ORIGIN/../../nvidia.
# MPI, fmt, PNG, JPEG and zlib are the system's.
set(torch_destination ${CMAKE_INSTALL_LIBDIR}/veomni)
set_target_properties(veomni PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
set_target_properties(veomni_base PROPERTIES INSTALL_RPATH "$ORIGIN")
set_target_properties(veomni_engine PROPERTIES INSTALL_RPATH "$ORIGIN:$ORIGIN/veomni/torch/lib")
set(torch_libraries c10 torch_cpu)
if(TARGET veomni_cuda)
  set_target_properties(veomni_cuda PROPERTIES
    INSTALL_RPATH "$ORIGIN:$ORIGIN/veomni/nvidia/nccl/lib:$ORIGIN/veomni/nvidia/cu13/lib:$ORIGIN/veomni/torch/lib")
  install(TARGETS veomni_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} OPTIONAL)   # absent after a build of `veomni` alone
  list(APPEND torch_libraries c10_cuda torch_cuda torch_cuda_linalg torch_nvshmem caffe2_nvrtc)
endif()

install(TARGETS veomni RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS veomni_base veomni_engine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(library ${torch_libraries})
  install(FILES ${VEOMNI_TORCH}/lib/lib${library}.so DESTINATION ${torch_destination}/torch/lib)
endforeach()
install(FILES ${VEOMNI_TORCH}/lib/libgomp.so.1 DESTINATION ${torch_destination}/torch/lib)
# cudart and cupti always; the others (cublas, cudnn, …) where `scripts/setup cuda` has put them.
install(DIRECTORY ${VEOMNI_TORCH}/../nvidia DESTINATION ${torch_destination}
  FILES_MATCHING PATTERN "*.so*"
  PATTERN include EXCLUDE PATTERN "libnvperf*" EXCLUDE PATTERN "libcheckpoint*" EXCLUDE
  PATTERN "libpcsampling*" EXCLUDE)
install(DIRECTORY ${VEOMNI_TORCH}/../ DESTINATION share/doc/veomni/licenses
  FILES_MATCHING PATTERN "*.dist-info/licenses/*"
  PATTERN torch EXCLUDE PATTERN nvidia EXCLUDE PATTERN functorch EXCLUDE PATTERN torchgen EXCLUDE)

install(FILES LICENSE DESTINATION share/doc/veomni)
install(DIRECTORY recipes DESTINATION share/veomni OPTIONAL PATTERN runs EXCLUDE)
# The installed program writes its own completions.
install(CODE [[
  set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  foreach(target "bash;share/bash-completion/completions/veomni" "zsh;share/zsh/site-functions/_veomni")
    list(GET target 0 shell)
    list(GET target 1 file)
    get_filename_component(folder ${file} DIRECTORY)
    file(MAKE_DIRECTORY ${prefix}/${folder})
    execute_process(COMMAND ${prefix}/bin/veomni completion ${shell} OUTPUT_FILE ${prefix}/${file} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
]])
