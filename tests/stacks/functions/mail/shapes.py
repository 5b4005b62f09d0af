"""Mails as they come: one for each shape that mail has in the world, as SES would store it."""

from __future__ import annotations

from base64 import b64encode

STAMP = (
    b"Return-Path: <ann@patient.example>\r\n"
    b"Received: from mx.patient.example (203.0.113.9) by inbound-smtp.us-east-1.amazonaws.com; Mon, 2 Nov 2026\r\n"
    b"X-SES-Spam-Verdict: PASS\r\nX-SES-CONFIGURATION-SET: someone-elses\r\n"
)
ANN = b"From: Ann Lee <ann@patient.example>\r\n"
REST = b"To: help@clinic.example\r\nSubject: A question\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n"
MESSAGE_ID = b"Message-ID: <one@patient.example>\r\n"
MIME = b"MIME-Version: 1.0\r\n"
PLAIN = MIME + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def mail(*headers: bytes, body: bytes = b"Hello,\r\n\r\nwhen may I come?\r\n") -> bytes:
    return STAMP + b"".join(headers) + b"\r\n" + body


def parts(kind: bytes, *inside: bytes, boundary: bytes = b"=_frontier") -> tuple[bytes, bytes]:
    """The header and the body of a multipart."""
    header = MIME + b'Content-Type: multipart/%s;\r\n\tboundary="%s"\r\n' % (kind, boundary)
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in inside)
    return header, b"This is MIME.\r\n" + body + b"--" + boundary + b"--\r\nepilogue\r\n"


def attached(data: bytes, name: bytes = b"scan.pdf", kind: bytes = b"application/pdf") -> bytes:
    lines = b64encode(data)
    wrapped = b"\r\n".join(lines[start : start + 76] for start in range(0, len(lines), 76))
    disposition = b'Content-Disposition: attachment; filename="%s"' % name
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n%s\r\n\r\n%s" % (kind, disposition, wrapped)


TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe"
HTML = b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=C3=BC=C3=9Fe</p>"
SCAN = attached(bytes(range(256)) * 40)
NESTED = mail(ANN, REST, PLAIN, body=b"the inner one\r\n")
ALTERNATIVE = parts(b"alternative", TEXT, HTML)
INNER = parts(b"alternative", TEXT, HTML, boundary=b"inner")
SIGNED = parts(
    b'signed; protocol="application/pkcs7-signature"; micalg=sha-256',
    TEXT + b"\r\n  trailing space \r\n",
    attached(b"\x30\x82signature", b"smime.p7s", b"application/pkcs7-signature"),
)

SHAPES: dict[str, bytes] = {
    "plain": mail(ANN, REST, MESSAGE_ID, PLAIN),
    "alternative": mail(ANN, REST, ALTERNATIVE[0], body=ALTERNATIVE[1]),
    "attachments": mail(ANN, REST, (many := parts(b"mixed", TEXT, SCAN, attached(b"x", b"b.png")))[0], body=many[1]),
    "alternative in mixed": mail(
        ANN, REST, (both := parts(b"mixed", INNER[0] + b"\r\n" + INNER[1], SCAN))[0], body=both[1]
    ),
    "nested message": mail(
        ANN, REST, (nest := parts(b"mixed", TEXT, b"Content-Type: message/rfc822\r\n\r\n" + NESTED))[0], body=nest[1]
    ),
    "signed": mail(ANN, REST, SIGNED[0], body=SIGNED[1]),
    "encrypted": mail(
        ANN, REST, MIME, b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n", body=b64encode(b"\x30\x82" * 99)
    ),
    "openpgp": mail(
        ANN, REST, (pgp := parts(b'encrypted; protocol="application/pgp-encrypted"', TEXT))[0], body=pgp[1]
    ),
    "calendar": mail(ANN, REST, MIME, b"Content-Type: text/calendar; method=REQUEST\r\n", body=b"BEGIN:VCALENDAR\r\n"),
    "no boundary": mail(ANN, REST, MIME, b"Content-Type: multipart/mixed\r\n", body=b"--x\r\n\r\nhello\r\n--x--\r\n"),
    "unclosed multipart": mail(ANN, REST, ALTERNATIVE[0], body=ALTERNATIVE[1].rpartition(b"--=_frontier--")[0]),
    "encoded name": mail(b"From: =?utf-8?B?SsO8cmdlbiBNw7xsbGVy?= <j@patient.example>\r\n", REST, PLAIN),
    "folded encoded name": mail(
        b"From: =?utf-8?Q?J=C3=BCrgen_von_der?=\r\n =?utf-8?Q?_L=C3=BChe?=\r\n <j@patient.example>\r\n", REST, PLAIN
    ),
    "iso-2022-jp": mail(
        b"From: =?ISO-2022-JP?B?GyRCO0VFRBsoQg==?= <y@patient.example>\r\n",
        REST,
        MIME,
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n",
        body=b"\x1b$B$3$s$K$A$O\x1b(B\r\n",
    ),
    "unknown charset": mail(b"From: =?x-klingon?B?SGVsbG8=?= <k@patient.example>\r\n", REST, PLAIN),
    "broken encoded word": mail(b"From: =?utf-8?B?SGV=====?= =?utf-8?Q?=ZZ? <b@patient.example>\r\n", REST, PLAIN),
    "raw utf-8 headers": mail("From: Jürgen <j@patient.example>\r\nSubject: Größe\r\n".encode(), MESSAGE_ID),
    "raw latin-1 headers": mail("From: Jürgen <j@patient.example>\r\nSubject: Größe\r\n".encode("latin-1"), PLAIN),
    "broken base64": mail(ANN, REST, MIME, b"Content-Transfer-Encoding: base64\r\n", body=b"SGVsbG8!!!\xff=\r\nx"),
    "wrong charset": mail(ANN, REST, MIME, b"Content-Type: text/plain; charset=us-ascii\r\n", body=b"Gr\xfc\xdfe\r\n"),
    "utf-16 body": mail(
        ANN, REST, MIME, b"Content-Type: text/plain; charset=utf-16\r\n", body="Grüße".encode("utf-16")
    ),
    "no from": mail(REST, PLAIN),
    "empty from": mail(b"From:\r\n", REST, PLAIN),
    "from without address": mail(b"From: The Clinic's Scanner\r\n", REST, PLAIN),
    "two mailboxes": mail(b"From: Ann Lee <ann@patient.example>, Bob <bob@patient.example>\r\n", REST, PLAIN),
    "comma in name": mail(b"From: Lee, Ann <ann@patient.example>\r\n", REST, PLAIN),
    "comment as name": mail(b"From: ann@patient.example (Ann Lee)\r\n", REST, PLAIN),
    "name like an address": mail(b'From: "help@bank.example <help@bank.example>" <x@patient.example>\r\n', REST, PLAIN),
    "group": mail(b"From: undisclosed: ann@patient.example;\r\n", REST, PLAIN),
    "no to subject id or date": mail(ANN),
    "reply-to": mail(ANN, b"Reply-To: Ann's sister <sis@patient.example>\r\n", REST, MESSAGE_ID, PLAIN),
    "empty reply-to": mail(ANN, b"Reply-To: \r\n", REST, PLAIN),
    "thread": mail(
        ANN, REST, MESSAGE_ID, b"References: <a@b.example>\r\n <c@d.example>\r\nIn-Reply-To: <c@d.example>\r\n"
    ),
    "no return-path": ANN + REST + PLAIN + b"\r\nHello\r\n",
    "signatures of domains": mail(
        b"DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\nDKIM-Signature: v=1; b=def\r\n"
        b"ARC-Seal: i=1; b=a\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=1; none\r\n"
        b"Sender: list@patient.example\r\nFeedback-ID: 1:2\r\nBcc: help@clinic.example, spy@evil.example\r\n",
        ANN,
        REST,
        PLAIN,
    ),
    "duplicate headers": mail(
        ANN, REST, b"To: bob@patient.example\r\nSubject: Again\r\nDelivered-To: a\r\nDelivered-To: b\r\n"
    ),
    "two froms": mail(ANN, b"From: Mallory <m@evil.example>\r\n", REST, PLAIN),
    "folded to": mail(
        ANN, b"To: help@clinic.example,\r\n\tbob@patient.example,\r\n  c@patient.example\r\nSubject:\r\n x\r\n"
    ),
    "over-long to": mail(ANN, b"To: " + b", ".join(b"p%d@patient.example" % n for n in range(400)) + b"\r\n", PLAIN),
    "over-long word": mail(ANN, REST, b"X-Token: " + b"a" * 5000 + b"\r\n", PLAIN),
    "empty body": mail(ANN, REST, PLAIN, body=b""),
    "headers only": (STAMP + ANN + REST).rstrip(b"\r\n"),
    "body of line ends": mail(ANN, REST, PLAIN, body=b"\r\n\r\n\n\r\n"),
    "bare lf": mail(ANN, REST, PLAIN).replace(b"\r\n", b"\n"),
    "mixed line ends": mail(ANN, REST.replace(b"\r\n", b"\n"), PLAIN, body=b"a\nb\r\nc\rd\r\n"),
    "spaces before colons": mail(b"From : Ann Lee <ann@patient.example>\r\nTo\t: help@clinic.example\r\n"),
    "mbox line": b"From ann@patient.example Mon Nov  2 10:00:00 2026\r\n" + mail(ANN, REST, PLAIN),
    "nul and controls": mail(b"From: A\x00nn\x1b[31m <ann@patient.example>\r\n", REST, PLAIN, body=b"\x00\x01\xff"),
    "newsletter": mail(
        ANN, REST, b"List-Unsubscribe: <mailto:u@l.example>\r\nPrecedence: bulk\r\nAuto-Submitted: no\r\n"
    ),
    "long lines in the body": mail(ANN, REST, PLAIN, body=b"x" * 70000),
}
