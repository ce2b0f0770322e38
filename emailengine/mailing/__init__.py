"""What a REST call asks of a mailbox."""
