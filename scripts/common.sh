# Shared by the scripts beside it; sourced, never run. Sets ROOT, VEOMNI_DEPS and TORCH_DIR.
# shellcheck shell=bash
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export VEOMNI_DEPS=${VEOMNI_DEPS:-$HOME/.cache/veomni}
TORCH_DIR=$VEOMNI_DEPS/torch-2.11.0
SCRIPT_NAME=scripts/$(basename "$0")

# A CUDA toolkit is often installed without being on PATH.
if ! command -v nvcc >/dev/null && [[ -x /usr/local/cuda/bin/nvcc ]]; then
  export PATH=$PATH:/usr/local/cuda/bin
fi

say() { printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2; }
die() { say "$*"; exit 2; }

# step "what" command…: says what runs, runs it, says how many seconds it took.
step() {
  local what=$1 start=$SECONDS
  shift
  say "$what …"
  "$@" || return
  say "$what: done in $((SECONDS - start)) s"
}

# build PRESET [target…]: configures and builds.
build() {
  local preset=$1 log=$ROOT/build/$1/configure.log
  shift
  mkdir -p "$ROOT/build/$preset"
  (cd "$ROOT" && cmake --preset "$preset" -D "VEOMNI_DEPS=$VEOMNI_DEPS" -D "VEOMNI_TORCH=$TORCH_DIR/torch") >"$log" 2>&1 ||
    { cat "$log" >&2; return 1; }
  ninja -C "$ROOT/build/$preset" --quiet -j "$(nproc)" "$@"
}
