"""Tells twistd that `emailengine` is a service it can run (loaded when `twistd` looks for plugins)."""

from twisted.application.service import ServiceMaker

emailengine = ServiceMaker(
    "emailengine",
    "emailengine.tap",
    "A headless email client: mailboxes over REST and webhooks.",
    "emailengine",
)
