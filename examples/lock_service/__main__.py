"""``python -m examples.lock_service``."""

from alliance.cli import main
from examples.lock_service.commands import app

main(app, "python -m examples.lock_service")
