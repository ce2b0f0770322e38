"""The events of a delivery, and the account's note of how the last one ended. Pure."""

from __future__ import annotations

from typing import Any

from emailengine.core.ids import event_id
from emailengine.model.dates import iso
from emailengine.model.event import EventName, Say
from emailengine.outbox.mail import Mail
from emailengine.outbox.verdict import Again, Fault, Verdict
from emailengine.smtp.session import SmtpResult


def sent(mail: Mail, queue_id: str, attempt: int, now: float, result: SmtpResult) -> Say:
    """The server took the message; `rejected` names recipients that it would not take."""
    replaced = result.message_id is not None and result.message_id != mail.message_id
    data: dict[str, Any] = {"messageId": result.message_id if replaced else mail.message_id}
    if replaced:
        data["originalMessageId"] = mail.message_id
    data |= {
        "response": result.response,
        "queueId": queue_id,
        "envelope": _envelope(mail),
        "networkRouting": None,
    }
    if result.rejected:
        data["rejected"] = [
            {"recipient": one.recipient, "responseCode": one.reply_code, "response": one.text}
            for one in result.rejected
        ]
    return _say("messageSent", mail, queue_id, attempt, now, data)


def delivery_error(mail: Mail, queue_id: str, attempt: int, now: float, fault: Fault, verdict: Verdict) -> Say:
    """One attempt failed."""
    told = {
        "error": fault.message,
        "errorCode": fault.code,
        "smtpResponse": fault.response,
        "smtpResponseCode": fault.reply_code,
        "smtpCommand": fault.command,
    }
    data: dict[str, Any] = {"queueId": queue_id, "envelope": _envelope(mail), "messageId": mail.message_id}
    data |= {name: value for name, value in told.items() if value is not None}
    data["networkRouting"] = None
    data["job"] = {
        "id": queue_id,
        "attemptsMade": attempt - 1,
        "attempts": mail.attempts,
        "nextAttempt": iso(verdict.at) if isinstance(verdict, Again) else False,
    }
    return _say("messageDeliveryError", mail, queue_id, attempt, now, data)


def failed(mail: Mail, queue_id: str, attempt: int, now: float) -> Say:
    """There will be no further attempt; the reason is that of the first."""
    data = {
        "messageId": mail.message_id,
        "queueId": queue_id,
        "error": f"Error: {mail.first_error or 'Unknown'}",
        "networkRouting": None,
    }
    return _say("messageFailed", mail, queue_id, attempt, now, data)


def _envelope(mail: Mail) -> dict[str, Any]:
    return {"from": mail.sender, "to": mail.recipients}


def _say(event: EventName, mail: Mail, queue_id: str, attempt: int, now: float, data: dict[str, Any]) -> Say:
    return Say(
        event_id=event_id(mail.account, mail.generation, event, queue_id, attempt),
        event=event,
        date=iso(now),
        data=data,
    )


def status_ok(result: SmtpResult, now: float) -> dict[str, Any]:
    """The account's `smtpStatus` after a delivery."""
    return {"status": "ok", "created": iso(now), "response": result.response, "responseCode": result.reply_code}


def status_error(fault: Fault, now: float) -> dict[str, Any]:
    """The account's `smtpStatus` after a failed attempt."""
    told = {
        "response": fault.response,
        "responseCode": fault.reply_code,
        "code": fault.code,
        "command": fault.command,
        "description": fault.message,
    }
    known = {name: value for name, value in told.items() if value is not None}
    return {"status": "error", "created": iso(now), **known}
