"""Make the pictures of the documentation, from public-domain photos of scikit-image.

    python docs/make_images.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from skimage import data

from vintage_colorizer import Colorizer
from vintage_colorizer.sheets import beside
