"""`python -m cli`: the command from a checkout; the wheel installs it as `ai4h`."""

from .command import main

main()
