#!/usr/bin/env bash
# Builds the source distribution and, from it, the wheel; installs the wheel into a fresh environment and runs
# tests against it, from the unpacked source distribution: tools/test_wheel.sh FOLDER [pytest's arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: tools/test_wheel.sh FOLDER [pytest arguments]}
shift
tools/setup.sh test
for part in tree dist unpacked venv; do
    [ ! -e "$folder/$part" ] || { echo "$folder/$part: is there already" >&2; exit 1; }
done
mkdir -p "$folder"/{tree,dist,unpacked}
folder=$(cd "$folder" && pwd)

# From what git tracks: what else lies about belongs into neither.
git archive HEAD | tar -x -C "$folder/tree"
.venv/bin/python -m build --no-isolation --outdir "$folder/dist" "$folder/tree"
rm -r "$folder/tree"
tar -xf "$folder"/dist/*.tar.gz -C "$folder/unpacked" --strip-components 1

# The wheel is all that is installed there. What it depends on is found in the tests' environment, whose own
# link to the tree is not followed: it is a .pth file, and Python reads those of an environment alone.
.venv/bin/python -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip install -q --no-deps "$folder"/dist/*.whl
packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$packages" >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests.pth"

cd "$folder/unpacked"
"$python" -c '
import napari_cosynth, sys
place = napari_cosynth.__file__
sys.exit(0 if place.startswith(sys.prefix) else f"the tests would run against {place}")'
# The contracts on who imports whom are the tree's, checked there.
"$python" -m pytest --deselect tests/test_imports.py::test_the_import_contracts_hold "$@"
