"""CIE Lab (D65, sRGB) on tensors: the space in which the compact network tells colors apart."""

from __future__ import annotations

import torch
from torch import Tensor

from vintage_colorizer.networks.architectures.contract import chroma_of

# sRGB primaries to XYZ, each row divided by the white point, so that white is (1, 1, 1).
_TO_XYZ = torch.tensor(
    [
        [0.4124564 / 0.950456, 0.3575761 / 0.950456, 0.1804375 / 0.950456],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.088754, 0.1191920 / 1.088754, 0.9503041 / 1.088754],
    ]
)
_FROM_XYZ = torch.linalg.inv(_TO_XYZ.double()).float()


def ab_of(rgb: Tensor) -> Tensor:
    """The planes a, b [N, 2, H, W] (about -110..110) of RGB [N, 3, H, W] in 0..1."""
    x, y, z = torch.chunk(_curve(_mix(_TO_XYZ, _linear(rgb))), 3, dim=1)
    return torch.cat([500 * (x - y), 200 * (y - z)], dim=1)


def chroma_of_ab(luma: Tensor, ab: Tensor) -> Tensor:
    """The chroma U, V [N, 2, H, W] of a, b [N, 2, H, W] at the lightness of the grey `luma` [N, 1, H, W]."""
    a, b = torch.chunk(ab, 2, dim=1)
    lightness = _curve(_linear(luma))
    xyz = _uncurve(torch.cat([lightness + a / 500, lightness, lightness - b / 200], dim=1))
    return chroma_of(_encoded(_mix(_FROM_XYZ, xyz).clamp(0.0, 1.0)))


def _mix(matrix: Tensor, planes: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(planes, matrix.to(planes)[:, :, None, None])


def _linear(encoded: Tensor) -> Tensor:
    curved = ((encoded.clamp(min=1e-4) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded > 0.04045, curved, encoded / 12.92)


def _encoded(linear: Tensor) -> Tensor:
    curved = 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, 12.92 * linear)


def _curve(share: Tensor) -> Tensor:
    return torch.where(share > 0.008856, share.clamp(min=1e-6) ** (1 / 3), 7.787 * share + 4 / 29)


def _uncurve(curved: Tensor) -> Tensor:
    return torch.where(curved > 6 / 29, curved**3, (curved - 4 / 29) / 7.787)
