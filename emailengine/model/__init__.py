"""The shape of everything that crosses an edge: REST, webhooks, Redis records."""
