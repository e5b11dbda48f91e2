"""The public names of the package."""

import vintage_colorizer

MOST = 12


def test_public_names_are_few_and_sorted() -> None:
    names = vintage_colorizer.__all__
    assert names == sorted(names)
    assert len(names) == len(set(names)) <= MOST


def test_every_public_name_can_be_imported() -> None:
    scope: dict[str, object] = {}
    exec("from vintage_colorizer import *", scope)
    assert set(vintage_colorizer.__all__) <= scope.keys()
