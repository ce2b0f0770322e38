"""Messages on their way out: accepted, queued, sent, followed up."""
