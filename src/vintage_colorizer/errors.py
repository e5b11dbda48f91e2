"""Everything that can go wrong, as one tree.

    VintageColorizerError
    ├── InputError            the file given cannot be colored
    │   ├── UnreadableError       empty, damaged, or not a picture or film at all
    │   ├── UnsupportedError      a format or variant that is not read
    │   └── TooLargeError         over the byte or pixel limit
    ├── OutputError           the result cannot be written
    │   ├── OutputExistsError     something else already has that name
    │   └── DiskFullError         no space left
    ├── OptionError           an option or a combination of options is wrong
    ├── MissingError          weights or an optional package are not there
    ├── WeightsError          a weights or network file is damaged, dangerous or of another network
    └── EngineError           the network failed: not a number, for one
        └── OutOfMemoryError      it needs more memory than there is

Every message is one sentence that says what happened, to which file, and what to do. The file is the error's
`subject` and the rest its `text`, so that who knows the file by another name can say that: the server, for one,
whose visitors never see its folders.
The library raises; only the command line prints and exits, with one of the codes below.
"""

from __future__ import annotations

import os
from typing import Self

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130  # exit codes of the command line; 0 is success


class VintageColorizerError(Exception):
    """Base of all errors raised on purpose by this package.

    Args:
        text: the sentence; if there is a subject, what follows it: "is empty; there is no film in it."
        subject: the file it is about, by its path or name.
    """

    def __init__(self, text: str, subject: str | os.PathLike[str] | None = None) -> None:
        self.text = text
        self.subject = None if subject is None else os.fspath(subject)
        super().__init__(text, self.subject)  # what it is made of again in another process

    def __str__(self) -> str:
        return self.text if self.subject is None else f"{self.subject} {self.text}"

    def about(self, subject: str | None) -> Self:
        """The same error, about a file of another name."""
        return type(self)(self.text, subject)


class InputError(VintageColorizerError):
    """The input cannot be colored."""


class UnreadableError(InputError):
    """The input is empty, damaged or not what its name says."""


class UnsupportedError(InputError):
    """The input is of a format or variant that is not read."""


class TooLargeError(InputError):
    """The input is over a byte or pixel limit."""


class OutputError(VintageColorizerError):
    """The result cannot be written."""


class OutputExistsError(OutputError):
    """A file that is not this result already has the output's name."""


class DiskFullError(OutputError):
    """No space is left where the result should go."""


class OptionError(VintageColorizerError):
    """An option, or a combination of options, is wrong."""


class MissingError(VintageColorizerError):
    """Weights or an optional package are needed and not there."""


class WeightsError(VintageColorizerError):
    """A weights or network file is damaged, dangerous or not of the expected network."""


class EngineError(VintageColorizerError):
    """The network could not compute: out of memory, or not a number."""


class OutOfMemoryError(EngineError):
    """There was not enough memory for the network at this render factor."""


def error_named(name: str) -> type[VintageColorizerError]:
    """The error of the tree with this name, to raise one again that another process raised."""
    kinds = [VintageColorizerError]
    for kind in kinds:  # grows on the way
        if kind.__name__ == name:
            return kind
        kinds += kind.__subclasses__()
    return VintageColorizerError
