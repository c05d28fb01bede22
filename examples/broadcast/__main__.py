"""``python -m examples.broadcast``."""

from alliance.cli import main
from examples.broadcast.commands import app

main(app, "python -m examples.broadcast")
