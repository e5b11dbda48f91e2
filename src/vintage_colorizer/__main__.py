"""`python -m vintage_colorizer` is the command `vintage-colorizer`."""

from vintage_colorizer.cli import main

main()
