"""Reads file names on standard input and checks what no compiler does: which folder may include which, which headers
may include which libraries, file lengths, and words that must not be committed. Exit code 1 on a finding."""
import pathlib
import re
import sys

FOLDERS = ["core", "kernels", "parallel", "modalities", "cmd"]  # each may include those before it
KERNELS_MAY_INCLUDE = {"core/error.h"}
LIBRARIES = {
    "LibTorch": re.compile(r"(torch|ATen|c10|caffe2)/"),
    "MPI": re.compile(r"mpi(ext|-ext)?\.h$"),
    "NCCL": re.compile(r"nccl[\w.]*\.h$"),
    "CUDA": re.compile(r"(cuda|cublas|cudnn|curand|nvml|driver_types|nvToolsExt)[\w/]*\.h(pp)?$|cub/|thrust/"),
    "CLI11": re.compile(r"CLI/"),
}
# Headers that only .cpp files include, for LibTorch's own macros and types.
PRIVATE_HEADERS = {"kernels/check.h", "kernels/cpu/parallel.h", "kernels/cuda_call.h", "kernels/kept.h",
                   "parallel/comm/sum.h", "parallel/fsdp/unit_state.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
WARN_LINES, MOST_LINES = 300, 400
# Written so that this file does not match itself.
WORDS = [
    (re.compile(r"""(?<![\w.$}*/~-])/(root|work|home|mnt|workspace)/[\w.]"""), "an absolute path of one machine"),
    (re.compile("TO" r"DO\b|FIX" r"ME\b"), "unfinished work"),
    (re.compile(r"^\s*#\s*if" r"\s+0\b", re.M), "code switched off"),
]


def knows_no_torch(path):
    """True for the sources of the executable and of libveomni_base.so."""
    parts = path.parts
    if parts[0] == "core":
        return parts[1] != "train"
    return parts[:2] == ("parallel", "plan") or path.stem.endswith("_spec") or (parts[0] == "cmd" and len(parts) == 2)


def forbidden_library(path, library, include):
    folder = path.parts[0]
    header = path.suffix in (".h", ".cuh")
    if library == "LibTorch":
        if header and include != "ATen/core/Tensor.h":
            return None if str(path) in PRIVATE_HEADERS else "a header of ours may include no LibTorch header but <ATen/core/Tensor.h>"
        return "stays free of LibTorch" if knows_no_torch(path) else None
    if library == "CLI11":
        return None if folder == "cmd" else "only cmd knows CLI11"
    if folder in ("core", "modalities"):
        return f"{folder} knows no {library}"
    return "kernels know no MPI" if folder == "kernels" and library == "MPI" else None


def include_findings(path, text):
    folder = path.parts[0]
    for match in INCLUDE.finditer(text):
        line, include = text.count("\n", 0, match.start(2)) + 1, match[2]
        target = include.split("/")[0]
        if match[1] == '"' and target in FOLDERS:
            if FOLDERS.index(target) > FOLDERS.index(folder):
                yield line, f'{folder} must not include "{include}"; allowed: {" → ".join(FOLDERS[:FOLDERS.index(folder) + 1])}'
            elif folder == "kernels" and target == "core" and include not in KERNELS_MAY_INCLUDE:
                yield line, f'of core, kernels may include only {", ".join(sorted(KERNELS_MAY_INCLUDE))}, not "{include}"'
            continue
        for library, pattern in LIBRARIES.items():
            reason = forbidden_library(path, library, include) if pattern.match(include) else None
            if reason:
                yield line, f"<{include}>: {reason}"


def findings(path, text):
    if path.suffix in (".h", ".cpp", ".cu", ".cuh") and path.parts[0] in FOLDERS and len(path.parts) > 1:
        yield from include_findings(path, text)
    for pattern, reason in WORDS:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, f"'{match[0].strip()}': {reason}"


def is_source(path):
    return path.suffix in (".h", ".cpp", ".cu", ".cuh", ".py", ".cmake") or path.parts[0] in ("scripts", ".ci")


def main():
    failed = False
    for name in sys.stdin.read().split("\n"):
        path = pathlib.PurePosixPath(name.removeprefix("./"))
        if not name or name == "LICENSE" or not pathlib.Path(name).is_file():
            continue
        if not (is_source(path) or path.suffix in (".md", ".json", ".txt", ".supp") or path.parts[0] == "test"):
            continue
        if pathlib.Path(name).stat().st_size > 1_000_000 or "data" in path.parts[1:-1] and not is_source(path):
            continue  # shipped data, not source
        text = pathlib.Path(name).read_text(encoding="utf-8", errors="replace")
        lines = text.count("\n")
        if is_source(path) and lines > WARN_LINES:
            failed |= lines > MOST_LINES
            print(f"{name}: {lines} lines; {'more than' if lines > MOST_LINES else 'split before'} {MOST_LINES}")
        for line, reason in findings(path, text):
            failed = True
            print(f"{name}:{line}: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
