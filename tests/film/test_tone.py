from __future__ import annotations

import numpy as np
import pytest

from vintage_colorizer.film.planes import Coding
from vintage_colorizer.film.tone import (
    HLG,
    PEAK,
    PQ,
    WHITE,
    compressed,
    nits_of_hlg,
    nits_of_pq,
    pq_of_nits,
    tone_mapped,
)


def test_signals_stand_for_the_light_that_the_standards_say() -> None:
    # ST 2084: 100 nits are 0.508, 1,000 nits 0.752, 10,000 nits 1; BT.2408: HLG reference white, 0.75, is 203 nits.
    known = np.array([0.0, 100, 1000, 10_000])
    assert pq_of_nits(known) == pytest.approx([0, 0.508, 0.752, 1], abs=1e-3)
    assert nits_of_pq(pq_of_nits(known)) == pytest.approx(known, rel=1e-6, abs=1e-6)
    assert nits_of_hlg(np.array([0.0, 0.75, 1.0])) == pytest.approx([0, 203, 1000], abs=1)


def test_shadows_stay_and_highlights_fit() -> None:
    nits = np.array([0.1, 1, 10, 30, 100, 203, PEAK, 4000])
    shown = compressed(nits)
    assert shown[:4] == pytest.approx(nits[:4], rel=1e-3)
    assert (np.diff(shown[:-1]) > 0).all() and shown[-1] == shown[-2] == pytest.approx(WHITE, rel=1e-3)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_are_mapped_in_their_own_range(transfer: int, full_range: bool) -> None:
    coding = Coding(1, full_range, 10)
    black, white = coding.luma_range
    codes = np.arange(1024, dtype=np.uint16)
    mapped = tone_mapped(codes, coding, transfer)
    assert mapped.dtype == np.uint16 and (np.diff(mapped.astype(int)) >= 0).all()
    assert mapped[0] == mapped[black] == black and abs(int(mapped[-1]) - white) <= 1
    reference = 0.75 if transfer == HLG else float(pq_of_nits(np.array(203.0)))
    level = (float(mapped[round(black + reference * (white - black))]) - black) / (white - black)
    assert 0.75 < level < 0.95
