# make demo   the main job, from nothing to a training stack and a picture
# make test   set up and run every test
# make check  style, types, import contracts, manifest
# make docs   the documentation's site, in docs/_build
# make run    napari with the dock and a sample layout
# make screenshots  the pictures in docs/images, from the real program
SHELL := /bin/bash
PY := .venv/bin/python
# A virtual screen where there is none.
SCREEN := $(if $(DISPLAY),,$(shell command -v xvfb-run >/dev/null && echo 'xvfb-run -a -s "-screen 0 1600x1200x24"'))

.PHONY: demo test check docs run screenshots setup-demo setup-test

demo: setup-demo
	.venv/bin/cosynth demo --out demo --overwrite

test: setup-test
	$(PY) -m pytest -n logical --maxprocesses 4 --dist worksteal

check: setup-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/npe2 validate napari_cosynth

docs: setup-test
	.venv/bin/sphinx-build -q -W --keep-going -b html docs docs/_build

run: setup-test
	$(PY) tools/run_napari.py

screenshots: setup-test
	$(SCREEN) $(PY) tools/screenshots.py
	$(SCREEN) $(PY) tools/walkthrough.py

setup-demo:
	@tools/setup.sh demo

setup-test:
	@tools/setup.sh test
