"""What a member must not forget: the journal, and the decided log as it is told to others."""
