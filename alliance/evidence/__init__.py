"""Evidence against members that lie: its form, judging it, keeping it."""
