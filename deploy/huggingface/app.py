"""The page as a Space of Hugging Face.

Make a Space (Docker or Gradio; this needs only Python), put this file there, and beside it a
`requirements.txt` with one line: vintage-colorizer[web], or vintage-colorizer[web] @ git+https://... with the
address of the repository.
"""

import os
import sys

from vintage_colorizer.options import ServeOptions
from vintage_colorizer.serve.app import serve


def main() -> None:
    """Serve at the address the Space expects, inside the frame of the site."""
    options = ServeOptions.of(
        host="0.0.0.0",
        port=7860,
        allow_host=os.environ["SPACE_HOST"],
        frame_host="https://huggingface.co",
        max_megabytes=30,
        max_megapixels=50,
        max_film_megabytes=200,
        keep_hours=2,
    )
    serve(options, lambda text: print(text, file=sys.stderr))


if __name__ == "__main__":
    main()
