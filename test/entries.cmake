add_test(NAME base COMMAND test_base)
add_test(NAME core COMMAND test_core)
