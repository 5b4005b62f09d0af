"""The texts of the sample broadcasts. They are invented, and say so."""

from __future__ import annotations

from typing import Any

NOTE = "This is a sample. Nothing in it is true of OpenEMR."

FIRST_ADVISORY: dict[str, Any] = {
    "title": "Sample advisory: update the patient portal to 7.0.2",
    "format": "markdown",
    "category": "security",
    "severity": "high",
    "fixed_version": "7.0.2",
    "contents": f"""*{NOTE}*

## What is wrong

Somebody who has an account of the patient portal could read documents of other patients.

## Who is concerned

Every installation before **7.0.2** whose patient portal can be reached from the internet.

## What to do

1. Make a backup.
2. Install OpenEMR 7.0.2, as the [upgrade instructions](https://www.open-emr.org/wiki/) tell.
3. If you cannot install it this week, switch the portal off: *Administration*, *Globals*, *Portal*.

| Version | Concerned | Fixed by |
|---------|-----------|----------|
| 7.0.2   | no        | -        |
| 7.0.0 and 7.0.1 | yes | 7.0.2 |
| 6.1.0 and older | yes | 7.0.2 |

Thank you for keeping your patients' records safe.
""",
}

SECOND_ADVISORY: dict[str, Any] = {
    "title": "Sample advisory: critical security release 7.0.3",
    "format": "markdown",
    "category": "security",
    "severity": "critical",
    "fixed_version": "7.0.3",
    "contents": f"""*{NOTE}*

**Install OpenEMR 7.0.3 today.** A hole in the sign-in page lets anybody take over an administrator's session.
It is being used: two installations have told us.

## What to do now

- Install 7.0.3, or
- keep the sign-in page within your own network until you have.

## How to see whether you were attacked

Look for sign-ins of administrators from addresses that you do not know: *Reports*, *System*, *Log*.

```
Administration > System > Logs > login
```

## Questions

Ask in the [forum](https://community.open-emr.org/), and please do not describe the hole there.
""",
}

NEWS_AS_FIRST_WRITTEN: dict[str, Any] = {
    "title": "Sample news: what is new in OpenEMR",
    "format": "markdown",
    "category": "news",
    "contents": f"*{NOTE}*\n\nThe yearly meeting is soon.",
}

NEWS: dict[str, Any] = {
    **NEWS_AS_FIRST_WRITTEN,
    "contents": f"""*{NOTE}*

## The yearly meeting

The yearly meeting is on **the first Saturday of the month**, online, at 16:00 UTC. Everybody is welcome.

## New in the next release

- Forms for telehealth visits
- Appointments that patients book themselves
- Faster reports for large clinics

## Thank you

More than forty people wrote code, translated or tested since the last letter.
""",
}

CANCELLED: dict[str, Any] = {
    "title": "Sample news: the training has moved",
    "format": "text",
    "category": "news",
    "contents": f"""{NOTE}

The training for new administrators has moved to Thursday.

  Where:  online
  When:   Thursday, 15:00 UTC
  Sign up at https://www.open-emr.org/wiki/
""",
}

PAUSED: dict[str, Any] = {
    "title": "Sample news: a survey among clinics",
    "format": "markdown",
    "category": "news",
    "contents": f"*{NOTE}*\n\nHow do you use OpenEMR? [Ten questions](https://www.open-emr.org/) help us to plan.",
}

IN_REVIEW: dict[str, Any] = {
    "title": "Sample advisory: passwords in backups, fixed in 8.0.0",
    "format": "markdown",
    "category": "security",
    "severity": "medium",
    "fixed_version": "8.0.0",
    "contents": f"""*{NOTE}*

Backups that were made from the administration page hold the password of the mail server.

1. Install 8.0.0.
2. Change the password of your mail server.
3. Delete old backups that others can read.
""",
}

DRAFT: dict[str, Any] = {
    "title": "Sample news: release party",
    "format": "markdown",
    "category": "news",
    "contents": f"*{NOTE}*\n\nNotes so far:\n\n- date: to be agreed\n- place: to be agreed\n",
}
