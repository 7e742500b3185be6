# Sourced by quickstart and test: a virtual environment in .venv with the engine and one of its extras.
# Where there is no NVIDIA GPU and pip can find a CPU build of torch, that build is taken: others bring gigabytes of CUDA.

CPU_TORCH=2.13.0 # a release of which some package indexes serve a CPU build

set -o pipefail

say() { printf '== %s\n' "$*"; }

# pip, with a line for each package it fetches and every error, and nothing else.
pip_install() {
  .venv/bin/pip install --disable-pip-version-check --progress-bar off "$@" 2>&1 |
    sed -un -e 's/^Collecting \([^ ]*\).*/   \1/p' -e '/^ERROR/p' -e '/^Could not/p' -e '/^error/p'
}

make_environment() {
  python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv, or set PYTHON=/path/to/python3.11" >&2
    exit 1
  }
  if [ ! -x .venv/bin/pip ]; then
    say "making the virtual environment .venv"
    "$python" -m venv .venv || {
      echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2
      exit 1
    }
  fi
}

has_nvidia() { [ -e /dev/nvidiactl ] || command -v nvidia-smi >/dev/null 2>&1; }

# "2.13.0+cpu" or the like when pip would install a CPU build of that release, nothing otherwise.
cpu_build_of_torch() {
  .venv/bin/pip install --dry-run --quiet --ignore-installed --no-deps --report - "torch==$CPU_TORCH" 2>/dev/null |
    .venv/bin/python -c '
import json, sys
try:
    found = json.load(sys.stdin)["install"][0]["metadata"]
except (ValueError, LookupError):
    sys.exit()
if not any(need.startswith(("nvidia-", "cuda-")) for need in found.get("requires_dist", [])):
    print(found["version"])
'
}

install_engine() { # install_engine EXTRA...: e.g. install_engine cpu
  if ! has_nvidia && [ "$1" = cpu ] && ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    say "looking for a CPU build of torch"
    build=$(cpu_build_of_torch)
    if [ -n "$build" ]; then
      say "installing torch $build"
      pip_install "torch==$build"
    else
      say "none found: pip takes the default build, several GB (README tells how to get a smaller one)"
    fi
  fi
  say "installing the engine with [$1,serve]"
  pip_install -e ".[$1,serve]"
}
