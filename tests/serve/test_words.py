"""The words of the page: each is used, each is there in every language, and none is left in the code."""

from __future__ import annotations

import json
import re

import pytest

from vintage_colorizer.options import LOOKS, FilmSettings, PhotoSettings
from vintage_colorizer.serve.page import PAGE

LANGUAGES = sorted(path.stem.removeprefix("words-") for path in PAGE.glob("words-*.json"))
CODE = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".js", ".html")}


def words(language: str) -> dict[str, str]:
    return dict(json.loads((PAGE / f"words-{language}.json").read_text(encoding="utf-8")))


def test_the_page_knows_the_languages_there_are() -> None:
    found = re.search(r"LANGUAGES = \[(.*?)\]", CODE["words.js"])
    assert found and sorted(re.findall(r'"(\w+)"', found[1])) == LANGUAGES and len(LANGUAGES) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_values(language: str) -> None:
    english, own = words("en"), words(language)
    assert english.keys() <= own.keys()
    for key, text in english.items():
        assert own[key].strip()
        assert sorted(re.findall(r"\{\w+\}", own[key])) == sorted(re.findall(r"\{\w+\}", text)), key
    described = {key for key in own if key.startswith("option.") and key.count(".") == 1}
    fields = PhotoSettings.model_fields.keys() | FilmSettings.model_fields.keys()
    assert {key.split(".")[1] for key in own if key.startswith("option.")} <= fields
    assert language == "en" or {f"look.{look}" for look in LOOKS} | described <= own.keys()


def test_every_word_is_used_and_every_use_has_its_word() -> None:
    code = "\n".join(CODE.values())
    used = set(re.findall(r'\bt\((?:[^()"]*\? )?"(\w+)"', code)) | set(re.findall(r'data-t(?:-label)?="(\w+)"', code))
    assert used <= words("en").keys()
    for key in words("en"):
        assert key in used or f'"{key}"' in code or key in ("scanning", "coloring", "joining", "flicker"), key


def test_there_are_no_words_in_the_page_itself() -> None:
    shown = re.sub(r"<[^>]*>", "", CODE["index.html"])
    assert set(shown.split()) <= {"Vintage", "Colorizer", "−", "+", "×", "⟲", "⟳", "API"}
    for name, text in CODE.items():
        if name.endswith(".js"):
            assert not re.findall(r'(?:say|Told|complain)\("[A-Z]', text), name
