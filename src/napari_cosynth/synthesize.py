"""The public way in for programs: a request -> progress and samples.

Each function stands in the module of ``napari_cosynth.synthesis`` that bears its name.
"""

from napari_cosynth.synthesis.inpaint import inpaint
from napari_cosynth.synthesis.repaint import repaint
from napari_cosynth.synthesis.resynthesize import resynthesize
from napari_cosynth.synthesis.synthesize import synthesize

__all__ = ["inpaint", "repaint", "resynthesize", "synthesize"]
