# PCRE2 (10.42 in Debian 12) and utf8proc (2.8): regular expressions and Unicode for tokenizers. Neither's Debian package has
# a CMake file of its own.
foreach(entry "pcre2;pcre2.h;pcre2-8" "utf8proc;utf8proc.h;utf8proc")
  list(GET entry 0 name)
  list(GET entry 1 header)
  list(GET entry 2 library)
  string(TOUPPER ${name} upper)
  find_path(VEOMNI_${upper}_INCLUDE ${header})
  find_library(VEOMNI_${upper}_LIBRARY ${library})
  if(NOT VEOMNI_${upper}_INCLUDE OR NOT VEOMNI_${upper}_LIBRARY)
    message(FATAL_ERROR "${name} not found; run scripts/setup, or install lib${name}-dev")
  endif()
  mark_as_advanced(VEOMNI_${upper}_INCLUDE VEOMNI_${upper}_LIBRARY)
  add_library(veomni::${name} UNKNOWN IMPORTED)
  set_target_properties(veomni::${name} PROPERTIES IMPORTED_LOCATION ${VEOMNI_${upper}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${VEOMNI_${upper}_INCLUDE})
endforeach()
