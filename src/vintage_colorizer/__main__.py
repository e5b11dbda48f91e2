"""`python -m vintage_colorizer` is the command `vintage-colorizer`."""

from vintage_colorizer.cli.app import main

main()
