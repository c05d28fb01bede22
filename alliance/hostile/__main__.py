"""``python -m alliance.hostile``: for the demo."""

import os
import sys

from alliance.hostile.server import main

if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(main(sys.argv[1:]))
