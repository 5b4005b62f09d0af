"""Mails that machines write: some concern a mail that we forwarded."""

from __future__ import annotations

from tests.stacks.functions.mail.shapes import ANN, PLAIN, REST, mail, parts

MARK = b"X-Hostemr-Forwarded: help@clinic.example\r\n"
FOREIGN = (
    b"Return-Path: <help@clinic.example>\r\nFrom: help@clinic.example\r\nTo: gone@patient.example\r\nSubject: Re: x\r\n"
)


def report(failing: bytes, returned: bytes, kind: bytes = b"message/rfc822", coding: bytes = b"7bit") -> bytes:
    """A delivery report (RFC 3464) on `failing`, with what it returns of the mail."""
    status = (
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        b"Original-Recipient: rfc822;%s\r\nFinal-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    ) % (failing, failing)
    back = b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (kind, coding, returned)
    text = b"Content-Type: text/plain\r\n\r\nYour mail could not be delivered."
    header, body = parts(b"report; report-type=delivery-status", text, status, back)
    raw = mail(b"From: MAILER-DAEMON@mx.example\r\n", REST, b"Auto-Submitted: auto-replied\r\n", header, body=body)
    return raw.replace(b"Return-Path: <ann@patient.example>", b"Return-Path: <>", 1)


HELD: dict[str, bytes] = {
    "our mark": mail(MARK, ANN, REST, PLAIN),
    "our mark among others": mail(b"x-hostemr-forwarded: desk@other.example,\r\n HELP@clinic.example\r\n", ANN, REST),
    "our mark in odd writing": mail(b"X-HOSTEMR-Forwarded : help@Clinic.example\r\n", ANN, REST),
    "ever more marks": mail(b"".join(b"X-Hostemr-Forwarded: d%d@x.example\r\n" % n for n in range(11)), ANN, REST),
    "too many servers": mail(b"Received: from a by b\r\n" * 101, ANN, REST),
    "from ourselves": mail(b"From: Help <HELP@clinic.example>\r\n", REST, PLAIN),
    "from ourselves with a label": mail(b"From: help+x@clinic.example\r\n", REST, PLAIN),
    "return path is ours": mail(ANN, REST).replace(b"<ann@patient.example>", b"<help@clinic.example>", 1),
    "no envelope sender": mail(ANN, REST).replace(b"<ann@patient.example>", b"<>", 1),
    "vacation": mail(ANN, REST, b"Auto-Submitted: auto-replied (vacation)\r\n"),
    "generated": mail(ANN, REST, b"Auto-Submitted: Auto-Generated; owner=x\r\n"),
    "old vacation": mail(ANN, REST, b"Precedence: auto_reply\r\n"),
    "older vacation": mail(ANN, REST, b"X-Autoreply: yes\r\n"),
    "mailer-daemon": mail(b"From: Mail Delivery <Mailer-Daemon@mx.example>\r\n", REST),
    "read receipt": mail(
        ANN, REST, (receipt := parts(b"report; report-type=disposition-notification"))[0], body=receipt[1]
    ),
    "bounce of a copy": report(b"someone@behind.example", MARK + FOREIGN + b"\r\nhello"),
    "bounce of a copy, its headers": report(b"someone@behind.example", MARK + FOREIGN, b"text/rfc822-headers"),
    "bounce to a colleague": report(b"Desk@clinic.example", FOREIGN),
    "bounce that returns nothing": report(b"gone@patient.example", b"", b"text/plain"),
    "bounce that returns what cannot be read": report(b"gone@patient.example", b"RnJvbTogYQ==", coding=b"base64"),
    "bounce that names nobody": report(b"", FOREIGN)
    .replace(b"Final-Recipient: rfc822; ", b"")
    .replace(b"Original-", b"X-"),
}
FORWARDED: dict[str, bytes] = {
    "bounce of an answer": report(b"gone@patient.example", FOREIGN + b"\r\nhello"),
    "bounce of an answer, its headers": report(b"gone@patient.example", FOREIGN, b"text/rfc822-headers"),
    "forwarded by others": mail(b"X-Hostemr-Forwarded: desk@other.example\r\n", ANN, REST),
    "says that it is no machine's": mail(ANN, REST, b"Auto-Submitted: no\r\n"),
}
