"""Routes of messages: list, read, change, download."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from emailengine.api.paths import AccountPath, AnyMessagePath, AttachmentPath, MessagePath, TextPath
from emailengine.api.routing import Call, Grant, Nothing, Route
from emailengine.api.seams import Download, Mailing
from emailengine.model.message import (
    MessageDetail,
    MessageList,
    MessageListQuery,
    MessageQuery,
    MessageUpdate,
    MessageUpdated,
    Text,
    TextQuery,
)

AREA = "Message"
READ = Grant("read", "message")


@frozen
class MessageRoutes:
    mailing: Mailing

    def table(self) -> list[Route[Any, Any, Any]]:
        account = "/v1/account/{account}"
        return [
            Route(
                method="GET",
                path=account + "/messages",
                run=self.list_messages,
                grant=READ,
                at=AccountPath,
                query=MessageListQuery,
                body=Nothing,
                answer=MessageList,
                about="List the messages of a folder, the newest first",
                area=AREA,
            ),
            Route(
                method="GET",
                path=account + "/message/{message}",
                run=self.read,
                grant=READ,
                at=MessagePath,
                query=MessageQuery,
                body=Nothing,
                answer=MessageDetail,
                about="Read a message",
                area=AREA,
            ),
            Route(
                method="PUT",
                path=account + "/message/{message}",
                run=self.update,
                grant=Grant("write", "message"),
                at=AnyMessagePath,
                query=Nothing,
                body=MessageUpdate,
                answer=MessageUpdated,
                about="Change the flags of a message",
                area=AREA,
            ),
            Route(
                method="GET",
                path=account + "/message/{message}/source",
                run=self.source,
                grant=READ,
                at=MessagePath,
                query=Nothing,
                body=Nothing,
                content_type="message/rfc822",
                about="Download a message as it stands on the server",
                area=AREA,
            ),
            Route(
                method="GET",
                path=account + "/text/{text}",
                run=self.text,
                grant=READ,
                at=TextPath,
                query=TextQuery,
                body=Nothing,
                answer=Text,
                about="Read the text of a message",
                area=AREA,
            ),
            Route(
                method="GET",
                path=account + "/attachment/{attachment}",
                run=self.attachment,
                grant=READ,
                at=AttachmentPath,
                query=Nothing,
                body=Nothing,
                content_type="application/octet-stream",
                about="Download an attachment",
                area=AREA,
            ),
        ]

    async def list_messages(self, call: Call[AccountPath, MessageListQuery, Nothing]) -> MessageList:
        query = call.query
        return await self.mailing.list_messages(
            call.at.account, query.path, page=query.wanted_page, page_size=query.page_size, deadline=call.deadline
        )

    async def read(self, call: Call[MessagePath, MessageQuery, Nothing]) -> MessageDetail:
        query = call.query
        return await self.mailing.read_message(
            call.at.account,
            call.at.message,
            text_type=query.text_type,
            max_bytes=query.max_bytes,
            mark_as_seen=query.mark_as_seen,
            deadline=call.deadline,
        )

    async def update(self, call: Call[AnyMessagePath, Nothing, MessageUpdate]) -> MessageUpdated:
        return await self.mailing.update_message(call.at.account, call.at.message, call.body, deadline=call.deadline)

    async def source(self, call: Call[MessagePath, Nothing, Nothing]) -> Download:
        return await self.mailing.open_source(call.at.account, call.at.message, deadline=call.deadline)

    async def text(self, call: Call[TextPath, TextQuery, Nothing]) -> Text:
        query = call.query
        return await self.mailing.read_text(
            call.at.account,
            call.at.text,
            text_type=query.text_type,
            max_bytes=query.max_bytes,
            deadline=call.deadline,
        )

    async def attachment(self, call: Call[AttachmentPath, Nothing, Nothing]) -> Download:
        return await self.mailing.open_attachment(call.at.account, call.at.attachment, deadline=call.deadline)
