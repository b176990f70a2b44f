"""Records and detectors as objects."""

from __future__ import annotations

from . import ad_base, ad_fileplugin, ad_image, ad_overlay, ad_perkinelmer, mca, scaler, scan, srs570, struck, transform
from .ad_base import AD_Camera
from .ad_fileplugin import AD_FilePlugin
from .ad_image import AD_ImagePlugin
from .ad_overlay import AD_OverlayPlugin
from .ad_perkinelmer import AD_PerkinElmer
from .ai import ai
from .ao import ao
from .bi import bi
from .bo import bo
from .mca import DXP, MCA, ROI, MultiXMAP
from .scaler import Scaler
from .scan import Scan
from .srs570 import SRS570
from .struck import Struck
from .transform import Transform

Mca = MCA

__all__ = [
    "AD_Camera",
    "AD_FilePlugin",
    "AD_ImagePlugin",
    "AD_OverlayPlugin",
    "AD_PerkinElmer",
    "DXP",
    "MCA",
    "Mca",
    "MultiXMAP",
    "ROI",
    "SRS570",
    "Scaler",
    "Scan",
    "Struck",
    "Transform",
    "ad_base",
    "ad_fileplugin",
    "ad_image",
    "ad_overlay",
    "ad_perkinelmer",
    "ai",
    "ao",
    "bi",
    "bo",
    "mca",
    "scaler",
    "scan",
    "srs570",
    "struck",
    "transform",
]
