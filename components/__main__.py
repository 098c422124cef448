"""Serves the components to other languages; Pulumi starts it for a project that uses the package.

pulumi package add <git address of this repository>/components@<version>
"""

import sys
from pathlib import Path

from pulumi.provider.experimental import component_provider_host

if __name__ == "__main__":
    # Pulumi runs this folder, not a module of it: put its parent where the folder itself is.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

    from components import __version__
    from components._package import COMPONENTS, NAME

    component_provider_host(COMPONENTS, NAME, version=__version__)
