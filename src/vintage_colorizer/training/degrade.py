"""Making pairs: a clean color photo, changed like a camera would, and what is left of it on an old print.

Everything works on whole batches, on their device; every random number comes from `Dice`, which holds one row
of uniform numbers for each photo, so a photo is changed the same way whatever batch it is in. `TASKS` lists
what can be restored: a task is a function that takes clean pictures and returns degraded ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from vintage_colorizer.color import LUMA_OF_RGB
from vintage_colorizer.training.recipe import Augment, Degrade

HAND = 16  # uniform numbers one effect uses at most
TILE = 512  # side of the noise tiles
# Which light an emulsion sees, in linear R, G, B: panchromatic, orthochromatic, blue-sensitive. Own estimates
# from published sensitivity curves: plates before 1880 see hardly more than blue, orthochromatic film no red.
FILMS = ((0.30, 0.40, 0.30), (0.03, 0.45, 0.52), (0.00, 0.12, 0.88))


class Dice:
    """Uniform numbers, a row for each photo, used up from left to right."""

    def __init__(self, rows: Tensor, device: torch.device) -> None:
        """Hold `rows` [N, columns] in 0..1, on the CPU; numbers are handed out on `device`."""
        self.rows, self.device = rows, device
        self.used = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A number in low..high for each photo, [N, 1, 1, 1]."""
        column = self.rows[:, self.used].view(-1, 1, 1, 1).to(self.device)
        self.used += 1
        return low + (high - low) * column

    def chance(self, share: float) -> Tensor:
        """True with probability `share` for each photo, [N, 1, 1, 1]."""
        return self.uniform() < share

    def hand(self, number: int) -> Dice:
        """The numbers of effect `number`; different effects never share any."""
        return Dice(self.rows[:, number * HAND : (number + 1) * HAND], self.device)

    def hands(self, first: int) -> Dice:
        """The numbers from those of effect `first` on, to go through all effects once more."""
        return Dice(self.rows[:, first * HAND :], self.device)

    def lucky(self, share: float) -> tuple[Tensor, Dice]:
        """The photos drawn with probability `share`, as rows on the device, and dice for them alone."""
        drawn = (self.rows[:, self.used] < share).nonzero().flatten()
        dice = Dice(self.rows[drawn], self.device)
        dice.used = self.used + 1
        return drawn.to(self.device), dice


# ---- Changes to the clean photo ----------------------------------------------------------------------------------


def augment(photos: Tensor, dice: Dice, size: int, how: Augment) -> Tensor:
    """Cut, warp, turn, zoom, flip and light photos [N, 3, S, S] in 0..1, to [N, 3, size, size]."""
    matrix = _placement(dice, photos.shape[-1], size, how)
    steps = (torch.arange(size, device=photos.device) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(1, -1, 3) @ matrix.transpose(1, 2)
    grid = (points[..., :2] / points[..., 2:]).view(-1, size, size, 2)
    photos = functional.grid_sample(photos, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return _light(photos, dice, how)


def _placement(dice: Dice, side: int, size: int, how: Augment) -> Tensor:
    """Homographies [N, 3, 3] from a point of the result, of `size`, to one of the photo, of `side`; both -1..1."""
    flip = torch.where(dice.chance(how.flip), -1.0, 1.0).flatten()
    corners = torch.stack([dice.uniform(-how.warp, how.warp).flatten() for _ in range(4)])
    warp = _tilt(corners * dice.chance(how.chance).flatten())
    angle = (dice.uniform(-how.rotate, how.rotate) * dice.chance(how.chance)).flatten() * math.pi / 180
    zoom = torch.where(dice.chance(how.chance), dice.uniform(1.0, how.zoom), 1.0).flatten()
    scale = size / (side * zoom)
    room = side - size  # cut at whole pixels, so that a photo not turned is copied, not blurred
    left, top = ((2 * torch.floor(dice.uniform(0, room + 1).flatten()) - room) / side for _ in range(2))
    zero, one = torch.zeros_like(flip), torch.ones_like(flip)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    turn = torch.stack([flip * cosine, -sine, left, flip * sine, cosine, top, zero, zero, one], dim=-1)
    return turn.view(-1, 3, 3) @ warp


def _tilt(magnitudes: Tensor) -> Tensor:
    """The homographies [N, 3, 3] that widen the edges of the square by `magnitudes` [4, N]: fast.ai's warp."""
    bottom, top, right, left = magnitudes.double()
    sources = torch.tensor([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)], dtype=torch.float64)
    x = torch.stack([-1 - left, -1 - right, 1 + left, 1 + right], dim=-1)
    y = torch.stack([-1 - top, 1 + top, -1 - bottom, 1 + bottom], dim=-1)
    u, v = sources.to(x).unbind(dim=-1)
    u, v = u.expand_as(x), v.expand_as(x)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for_x = torch.stack([u, v, one, zero, zero, zero, -u * x, -v * x], dim=-1)
    for_y = torch.stack([zero, zero, zero, u, v, one, -u * y, -v * y], dim=-1)
    known = torch.cat([x, y], dim=-1).unsqueeze(-1)
    solved = torch.linalg.solve(torch.cat([for_x, for_y], dim=1), known).squeeze(-1)
    return torch.cat([solved, torch.ones_like(solved[:, :1])], dim=1).view(-1, 3, 3).float()


def _light(photo: Tensor, dice: Dice, how: Augment) -> Tensor:
    """Brightness and contrast in logit space, each with its chance."""
    middle = 0.5 + dice.uniform(-how.brightness, how.brightness) * dice.chance(how.chance)
    contrast = torch.exp(dice.uniform(-1, 1) * math.log(how.contrast) * dice.chance(how.chance))
    lit = torch.sigmoid(torch.logit(photo, eps=1e-3) * contrast + torch.logit(middle))
    return torch.where((contrast == 1) & (middle == 0.5), photo, lit)


# ---- What an old camera, a drawer and a scanner leave of it ------------------------------------------------------


def color(clean: Tensor, dice: Dice, how: Degrade) -> Tensor:
    """The grey, aged luma [N, 1, H, W] of clean RGB [N, 3, H, W], both in 0..1."""
    luma = (clean * clean.new_tensor(LUMA_OF_RGB).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    seen, lucky = dice.hand(0).lucky(how.spectral)
    luma[seen] = _spectral(clean[seen], luma[seen], lucky)
    for number, (chance, effect) in enumerate(
        (
            (how.blur, _blur),
            (how.fading, _fading),
            (how.vignette, _vignette),
            (how.scratches, _scratches),
            (how.dust, _dust),
            (how.grain, _grain),
            (how.noise, _noise),
            (how.jpeg, _jpeg),
        ),
        start=1,
    ):
        hit, lucky = dice.hand(number).lucky(chance)
        if len(hit):
            luma[hit] = effect(luma[hit], lucky).clamp(0, 1)
    return luma


EFFECTS = 9  # hands of dice that `color` uses
TASKS: dict[str, Callable[[Tensor, Dice, Degrade], Tensor]] = {"color": color}


def _spectral(clean: Tensor, luma: Tensor, dice: Dice) -> Tensor:
    """Grey as film of a random sensitivity, between panchromatic and blue-sensitive, would have seen it."""
    kind, between = dice.uniform(0, 2), dice.uniform(0.7, 1.3)
    films = clean.new_tensor(FILMS)
    first = kind.flatten().long().clamp(max=1)
    part = (kind.flatten() - first).unsqueeze(-1)
    weights = (films[first] * (1 - part) + films[first + 1] * part).view(-1, 3, 1, 1)
    exposed = (clean.clamp(min=1e-4) ** 2.2 * weights).sum(dim=1, keepdim=True)
    # Photographers exposed for the scene: bring the picture back near its own mean, give or take.
    wanted = between * (luma**2.2).mean((2, 3), True)
    return (exposed * wanted / exposed.mean((2, 3), True)).clamp(0, 1) ** (1 / 2.2)


def _blur(luma: Tensor, dice: Dice) -> Tensor:
    sigma = dice.uniform(0.4, 1.6).view(-1, 1)
    kernel = torch.exp(-0.5 * (torch.arange(-4, 5, device=luma.device).view(1, -1) / sigma) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stacked = functional.pad(luma.transpose(0, 1), (4, 4, 4, 4), mode="replicate")
    rows = functional.conv2d(stacked, kernel.view(-1, 1, 1, 9), groups=len(luma))
    return functional.conv2d(rows, kernel.view(-1, 1, 9, 1), groups=len(luma)).transpose(0, 1)


def _fading(luma: Tensor, dice: Dice) -> Tensor:
    black, white = dice.uniform(0.0, 0.3), dice.uniform(0.7, 1.0)
    return black + (white - black) * luma


def _vignette(luma: Tensor, dice: Dice) -> Tensor:
    y, x = (torch.linspace(-1, 1, side, device=luma.device) for side in luma.shape[2:])
    x_from, y_from = x - dice.uniform(-0.3, 0.3), y.view(-1, 1) - dice.uniform(-0.3, 0.3)
    return luma * (1 - dice.uniform(0.1, 0.6) * (x_from**2 + y_from**2) / 2)


def _scratches(luma: Tensor, dice: Dice) -> Tensor:
    """Up to three thin lines, nearly upright as in film, white or black."""
    y, x = (torch.linspace(0, 1, side, device=luma.device) for side in luma.shape[2:])
    for _ in range(3):
        middle = dice.uniform(-0.5, 1.5) + dice.uniform(-0.15, 0.15) * y.view(-1, 1)
        line = (1 - (x - middle).abs() * luma.shape[-1] / dice.uniform(0.5, 1.5)).clamp(min=0)
        luma = luma + (torch.round(dice.uniform()) - luma) * line * dice.uniform(0.2, 0.9)
    return luma


def _dust(luma: Tensor, dice: Dice) -> Tensor:
    """Specks: what stands out of soft noise, white or black."""
    specks = ((_cut("soft", luma, dice) - dice.uniform(2.4, 3.4)) * 4).clamp(0, 1)
    return luma + (torch.round(dice.uniform()) - luma) * specks


def _grain(luma: Tensor, dice: Dice) -> Tensor:
    """Film grain: noise, strongest in the middle tones, a part of it clumped over neighboring pixels."""
    clumped = dice.uniform(0, 1)
    noise = (1 - clumped) * _cut("white", luma, dice) + clumped * _cut("soft", luma, dice)
    return luma + dice.uniform(0.01, 0.06) * noise * (0.3 + 2.8 * luma * (1 - luma))


def _noise(luma: Tensor, dice: Dice) -> Tensor:
    """The original's noise: up to 40 % of the pixels off by up to 30 of 255 levels."""
    hit = _cut("uniform", luma, dice) < dice.uniform(0.001, 0.4)
    return luma + hit * torch.floor(_cut("uniform", luma, dice) * 60 - 30) / 255


def _jpeg(luma: Tensor, dice: Dice) -> Tensor:
    """What JPEG at quality 25..90 loses: rounded DCT coefficients of 8 x 8 blocks (ITU-T T.81, table K.1)."""
    quality = dice.uniform(25, 90)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(-1, 1, 1, 1, 1)
    table = (_quantization().to(luma.device) * scale).clamp(min=1) / 255
    basis = _cosines().to(luma.device)
    height, width = luma.shape[2:]
    padded = functional.pad(luma, (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = (side // 8 for side in padded.shape[2:])
    blocks = padded.view(-1, rows, 8, columns, 8).transpose(2, 3)
    rounded = basis.T @ (torch.round(basis @ blocks @ basis.T / table) * table) @ basis
    return rounded.transpose(2, 3).reshape(padded.shape)[..., :height, :width]


@cache
def _cosines() -> Tensor:
    """The 8 x 8 matrix of the orthonormal discrete cosine transform."""
    k = torch.arange(8.0)
    basis = 0.5 * torch.cos((2 * k.view(1, -1) + 1) * k.view(-1, 1) * math.pi / 16)
    basis[0] /= math.sqrt(2)
    return basis


@cache
def _quantization() -> Tensor:
    rows = (
        "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
        "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 "
        "100 103 99"
    )
    return torch.tensor([float(entry) for entry in rows.split()]).view(8, 8)


def _cut(kind: str, like: Tensor, dice: Dice) -> Tensor:
    """A piece of the noise tile `kind` for each photo, of the size of `like`, [N, 1, H, W]."""
    tile = _tile(kind, like.device)
    y, x = (
        (torch.arange(side, device=like.device).view(1, -1) + (dice.uniform(0, TILE)).long().view(-1, 1)) % TILE
        for side in like.shape[2:]
    )
    return tile[y[:, :, None], x[:, None, :]].unsqueeze(1)


@cache
def _tile(kind: str, device: torch.device) -> Tensor:
    """Fixed noise [TILE, TILE]: uniform 0..1, or of mean 0 and deviation 1, white or soft (clumped)."""
    made = torch.Generator().manual_seed({"uniform": 1, "white": 2, "soft": 3}[kind])
    if kind == "uniform":
        return torch.rand(TILE, TILE, generator=made).to(device)
    noise = torch.randn(TILE, TILE, generator=made)
    if kind == "soft":
        wide = functional.pad(noise[None, None], (2, 2, 2, 2), mode="circular")
        noise = functional.avg_pool2d(functional.avg_pool2d(wide, 3, 1), 3, 1)[0, 0]
    return ((noise - noise.mean()) / noise.std()).to(device)
