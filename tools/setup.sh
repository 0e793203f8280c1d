#!/usr/bin/env bash
# Makes .venv and installs the package: tools/setup.sh demo|test
# Debian and Ubuntu: what the system lacks is installed when run as root, else named.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?usage: tools/setup.sh demo|test}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

system_packages() {  # installs the Debian packages named, or says which are missing
    local missing=()
    for package in "$@"; do
        # Newer releases call some libraries by another name: libglib2.0-0t64.
        dpkg-query -W -f '${Status}\n' "$package" "${package}t64" 2>/dev/null |
            grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" = 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
    else
        die "the system lacks packages; run: sudo apt-get install ${missing[*]}"
    fi
}

find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$candidate"; return
        fi
    done
}

debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

stamp=.venv/.installed-$what
inputs=(pyproject.toml constraints.txt tools/setup.sh tools/locks/*)
if [ -e "$stamp" ]; then
    fresh=1
    for file in "${inputs[@]}"; do [ "$file" -nt "$stamp" ] && fresh=0; done
    [ $fresh = 1 ] && exit 0
fi

python=$(find_python)
[ -n "$python" ] || die "Python 3.11 or newer is needed and was not found"
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    debian || die "$python lacks the venv module"
    system_packages "$("$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')"
fi
if [ "$what" = test ] && [ "$(uname -s)" = Linux ]; then
    if debian; then
        system_packages xvfb xauth libglib2.0-0 libgl1 libgl1-mesa-dri libegl1 libopengl0 libxkbcommon-x11-0 \
            libdbus-1-3 libfontconfig1 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0 \
            libxcb-render-util0 libxcb-xinerama0 libxcb-shape0 libxcb-randr0 libxcb-xkb1
    else
        command -v xvfb-run >/dev/null || die "xvfb-run is needed for the tests of the plugin"
    fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
torch=$(sed -n 's/^torch==//p' constraints.txt)
torch_index=https://download.pytorch.org/whl/cpu

# The lock of this Python and platform, where there is one: each file by its SHA-256, and no other.
lock=tools/locks/$(.venv/bin/python -c '
import platform, sys
print("cp%d%d" % sys.version_info[:2], platform.system().lower(), platform.machine().lower(), sep="-")').txt
if [ "$what" = test ] && [ -f "$lock" ] && ! command -v nvidia-smi >/dev/null; then
    say "installing what $lock names into .venv"
    locked=(install -q --no-deps --require-hashes -r "$lock")
    pip "${locked[@]}" 2>/dev/null || pip "${locked[@]}" --extra-index-url "$torch_index" ||
        die "$lock could not be installed as it is (to install without it: rm $lock)"
    pip install -q --no-deps --no-build-isolation -e .
    pip check >&2 || die "$lock lacks what pyproject.toml asks for; run: python tools/lock.py"
    touch "$stamp"
    exit 0
fi

if ! .venv/bin/python -c 'import torch' 2>/dev/null &&
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] && ! command -v nvidia-smi >/dev/null; then
    # PyPI's build for Linux brings gigabytes of CUDA libraries that nothing here could use.
    say "no NVIDIA GPU: installing the CPU build of torch $torch"
    pip install -q "torch==$torch+cpu" 2>/dev/null ||
        pip install -q --extra-index-url "$torch_index" "torch==$torch+cpu" ||
        die "no CPU build of torch $torch was found; install one into .venv and run this again"
fi
case $what in
    demo) target=. ;;
    test) target='.[test]' ;;
    *) die "expected demo or test, got $what" ;;
esac
say "installing napari-cosynth into .venv"
pip install -q -c constraints.txt -e "$target"
touch "$stamp"
