"""Tests of scripts/count_tests.py and scripts/check_source.py; CTest runs it."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scripts"))
sys.dont_write_bytecode = True
from check_source import findings  # noqa: E402
from count_tests import count  # noqa: E402


class CountTests(unittest.TestCase):
    def test_catch_summaries(self):
        self.assertEqual(count("All tests passed (9 assertions in 4 test cases)", "passed"), (4, 0, 0))
        self.assertEqual(count("All tests passed (1 assertion in 1 test case)", "passed"), (1, 0, 0))
        self.assertEqual(count("test cases:  7 |  5 passed | 2 failed\nassertions: 9 | 7 passed | 2 failed", "failed"), (5, 2, 0))
        self.assertEqual(count("test cases: 3 | 1 passed | 1 failed | 1 failed as expected", "failed"), (2, 1, 0))
        self.assertEqual(count("No tests ran", "passed"), (0, 0, 0))

    def test_skipped_cases_are_not_passed(self):
        self.assertEqual(count("SKIPPED: no GPU\nAll tests passed (2 assertions in 2 test cases)", "passed"), (1, 0, 1))
        self.assertEqual(count("", "skipped"), (0, 0, 1))

    def test_every_rank_prints_but_cases_count_once(self):
        rank = "SKIPPED: no GPU\nAll tests passed (2 assertions in 3 test cases)\n"
        self.assertEqual(count(rank * 4, "passed"), (2, 0, 1))
        self.assertEqual(count(rank + "test cases: 3 | 2 passed | 1 failed\n", "failed"), (2, 1, 1))

    def test_failures_without_a_failed_case(self):
        self.assertEqual(count("All tests passed (1 assertion in 1 test case)\nLeakSanitizer", "failed"), (1, 1, 0))
        self.assertEqual(count("Segmentation fault", "failed"), (0, 1, 0))
        self.assertEqual(count("", "passed"), (1, 0, 0))


class CheckSource(unittest.TestCase):
    def allowed(self, path, include):
        return not list(findings(pathlib.PurePosixPath(path), f"#include {include}\n"))

    def test_arrows_between_folders(self):
        self.assertTrue(self.allowed("cmd/main.cpp", '"core/error.h"'))
        self.assertTrue(self.allowed("parallel/fsdp/unit.cpp", '"kernels/norm.h"'))
        self.assertFalse(self.allowed("core/train/loop.cpp", '"parallel/mesh.h"'))
        self.assertFalse(self.allowed("parallel/mesh.cpp", '"modalities/all.h"'))
        self.assertTrue(self.allowed("kernels/norm.cpp", '"core/error.h"'))
        self.assertFalse(self.allowed("kernels/norm.cpp", '"core/json.h"'))
        self.assertTrue(self.allowed("test/core/json_test.cpp", '"cmd/main.h"'))

    def test_libraries(self):
        self.assertTrue(self.allowed("kernels/norm.h", "<ATen/core/Tensor.h>"))
        self.assertFalse(self.allowed("kernels/norm.h", "<ATen/ATen.h>"))
        self.assertTrue(self.allowed("core/train/loop.cpp", "<torch/types.h>"))
        for path in ("core/json.cpp", "modalities/encoders/image_spec.cpp", "parallel/plan/cost.cpp", "cmd/main.cpp"):
            self.assertFalse(self.allowed(path, "<torch/types.h>"), path)
        self.assertFalse(self.allowed("core/train/loop.cpp", "<mpi.h>"))
        self.assertFalse(self.allowed("modalities/base/block.cpp", "<cuda_runtime.h>"))
        self.assertTrue(self.allowed("parallel/comm/mpi.cpp", "<mpi.h>"))
        self.assertFalse(self.allowed("core/json.cpp", "<CLI/CLI.hpp>"))

    def test_words(self):
        path = pathlib.PurePosixPath("core/json.cpp")
        self.assertTrue(list(findings(path, 'auto x = "/ro' 'ot/data";')))
        self.assertTrue(list(findings(path, "// TO" "DO later")))
        self.assertFalse(list(findings(path, "// see https://example.org/work/this and $HOME/work/x")))


if __name__ == "__main__":
    unittest.main()
