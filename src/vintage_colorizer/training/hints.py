"""Hints of color to train with: patches of the photo's own chroma at random places, on the network's grid.

Most are true. Some views have a region in another, impossible, color, in target and hint alike, so that the
network obeys; some have many hints that have moved away from their places, as in films. The number of hints and the
size of patches follow Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors" (2017).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vintage_colorizer.color import LUMA_OF_RGB, U_SCALE, V_SCALE
from vintage_colorizer.networks.architectures.contract import chroma_of
from vintage_colorizer.training.degrade import HAND, Dice
from vintage_colorizer.training.recipe import Hints

STRIDE = 4  # pixels of the view to a cell of the grid
POINTS = 32  # at most
LARGEST = 9  # pixels of a patch's side
NUMBERS = 8  # uniform numbers for each point, after one hand for the view
HINT_HANDS = 1 + POINTS * NUMBERS // HAND
UNSURE = 0.1  # deviation of the chroma of a hint of sureness 0
MOVED = 3.0  # cells a displaced hint is off at most, as all of a view are and each for itself
ALIKE, AS_BRIGHT = 0.06, 0.25  # what differs by less in chroma, and in luma, is one region
GREYED = 0.25  # of the impossible regions are grey


def give_hints(clean: Tensor, dice: Dice, how: Hints) -> tuple[Tensor, Tensor]:
    """The view RGB [N, 3, H, W] in 0..1, regions of some recolored, and its hints [N, 3, H / 4, W / 4]."""
    view = dice.rows[:, :HAND].to(clean)
    points = dice.rows[:, HAND : HINT_HANDS * HAND].to(clean).view(-1, POINTS, NUMBERS)
    given = view[:, 0] >= how.none
    displaced = given & (view[:, 3] < how.displaced)
    clean = _impossible(clean, view, points, given & (view[:, 2] < how.impossible))
    counts = (1 + torch.floor(torch.log(view[:, 1]) / math.log1p(-how.stop))).clamp(max=POINTS)
    counts = torch.where(displaced, torch.floor(POINTS * (1 + view[:, 1]) / 2), counts) * given
    shown = torch.arange(POINTS, device=clean.device) < counts[:, None]
    return clean, _painted(clean, view, points, shown, displaced, how.jitter)


def _painted(clean: Tensor, view: Tensor, points: Tensor, shown: Tensor, displaced: Tensor, jitter: float) -> Tensor:
    """The grid with the points shown on it; where they overlap, the last one counts."""
    chroma = functional.avg_pool2d(chroma_of(clean), STRIDE)
    rows, columns = _covered(points, clean.shape[2:], torch.zeros_like(points[..., :2]))
    size = rows.sum(2) * columns.sum(2)
    color = torch.einsum("npy,npx,ncyx->npc", rows, columns, chroma) / size[..., None]
    sure = torch.where(points[..., 3] < 0.5, 1.0, 0.2 + 0.8 * (2 * points[..., 3] - 1)).clamp(max=1)
    radius = torch.sqrt(-2 * torch.log(points[..., 4])) * (jitter + UNSURE * (1 - sure))
    angle = 2 * math.pi * points[..., 5]
    color = color + radius[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    off = MOVED * ((2 * view[:, None, 7:9] - 1) + (2 * points[..., 6:8] - 1)) / 2
    rows, columns = _covered(points, clean.shape[2:], torch.round(off) * displaced[:, None, None])
    there = rows[..., None] * columns[..., None, :] * shown[..., None, None]
    number = torch.arange(1, POINTS + 1, device=clean.device).view(1, -1, 1, 1)
    top = (there * number).argmax(dim=1).flatten(1)
    planes = torch.cat([color * sure[..., None], sure[..., None]], dim=2).transpose(1, 2)
    grid = planes.gather(2, top[:, None].expand(-1, 3, -1)).view(-1, 3, *there.shape[2:])
    return grid * there.amax(dim=1, keepdim=True)


def _covered(points: Tensor, size: torch.Size, off: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows [N, points, h] and columns [N, points, w] of the grid the patches touch, moved by `off` cells."""
    side = 1 + torch.floor(points[..., 2] * LARGEST)
    found = []
    for axis in (0, 1):
        cells = size[axis] // STRIDE
        first = torch.floor(points[..., axis] * (size[axis] - side + 1))
        low, high = (
            (torch.floor(edge / STRIDE) + off[..., axis]).clamp(0, cells - 1) for edge in (first, first + side - 1)
        )
        place = torch.arange(cells, device=points.device)
        found.append(((place >= low[..., None]) & (place <= high[..., None])).to(points))
    return found[0], found[1]


def _impossible(clean: Tensor, view: Tensor, points: Tensor, chosen: Tensor) -> Tensor:
    """Give the region around the first point of each chosen view another hue, or take its color."""
    if not bool(chosen.any()):
        return clean
    photos, view, luma = clean[chosen], view[chosen], _luma(clean[chosen])
    chroma = photos - luma
    inside = _region(photos, luma, points[chosen, 0])
    turned = _turned(chroma_of(photos), view[:, 5], view[:, 6])
    red_blue = turned / turned.new_tensor([U_SCALE, V_SCALE]).view(1, 2, 1, 1)
    blue, red = red_blue[:, :1], red_blue[:, 1:]
    green = -(LUMA_OF_RGB[0] * red + LUMA_OF_RGB[2] * blue) / LUMA_OF_RGB[1]
    other = torch.cat([red, green, blue], dim=1)
    other = other * (view[:, 4].view(-1, 1, 1, 1) >= GREYED)
    chroma = torch.where(inside, other, chroma)
    room = torch.where(chroma > 0, 1 - luma, luma) / chroma.abs().clamp(min=1e-6)
    recolored = clean.clone()
    recolored[chosen] = luma + chroma * room.amin(dim=1, keepdim=True).clamp(max=1)
    return recolored


def _turned(chroma: Tensor, hue: Tensor, strength: Tensor) -> Tensor:
    """Chroma [N, 2, H, W] turned by 60 to 300 degrees, and moved by some color, so that grey gets one too."""
    angle = (math.pi / 3 + hue * 4 * math.pi / 3).view(-1, 1, 1)
    u, v = chroma[:, 0], chroma[:, 1]
    turned = torch.stack([u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()], dim=1)
    around = 2 * math.pi * strength.view(-1, 1)
    return turned + 0.12 * torch.cat([around.cos(), around.sin()], dim=1)[:, :, None, None]


def _region(photos: Tensor, luma: Tensor, seeds: Tensor) -> Tensor:
    """What hangs together with the seed and looks like it, as a mask [N, 1, H, W]."""
    looks = torch.cat([chroma_of(photos) / ALIKE, luma / AS_BRIGHT], dim=1)
    small = functional.avg_pool2d(looks, STRIDE)
    rows, columns = _covered(seeds[:, None], photos.shape[2:], torch.zeros_like(seeds[:, None, :2]))
    start = rows[..., None] * columns[..., None, :]
    seed = (small * start).sum((2, 3), True) / start.sum((2, 3), True)
    alike = _near(small, seed) | start.bool()
    reached = start
    for _ in range(sum(small.shape[2:])):
        reached = functional.max_pool2d(reached, 3, 1, 1) * alike
    around = functional.interpolate(functional.max_pool2d(reached, 3, 1, 1), scale_factor=STRIDE)
    core = functional.interpolate(start, scale_factor=STRIDE)
    return (around.bool() & _near(looks, seed)) | core.bool()


def _near(looks: Tensor, seed: Tensor) -> Tensor:
    off = looks - seed
    return (off[:, :2].square().sum(1, True) < 1) & (off[:, 2:].abs() < 1)


def _luma(rgb: Tensor) -> Tensor:
    return (rgb * rgb.new_tensor(LUMA_OF_RGB).view(1, 3, 1, 1)).sum(1, True)
