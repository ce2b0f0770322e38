"""emailengine: mailboxes as a REST API and webhooks, in one process.

The package's version is the only thing that stands here.
"""

__version__ = "0.1.0"
