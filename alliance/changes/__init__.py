"""What people do to change an alliance: changes as files, operators' signatures, and the way into the log."""
