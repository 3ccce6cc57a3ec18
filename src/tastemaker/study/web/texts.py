"""What raters read: the wording of the questions, of the consent where the plan has none, and of what is wrong."""

from __future__ import annotations

from tastemaker.study.design import FLAGS
from tastemaker.study.vote import Kind

HIDDEN = ("appeal",)
"""Questions that are to be answered without the prompt, so they come first."""

HIDES = "(The prompt is hidden on purpose.)"
_QUESTIONS: dict[str, dict[Kind, str]] = {
    "preference": {
        "pair": "Which image do you prefer overall?",
        "best": "Which image is best?",
        "rank": "Put the images in order, best first.",
    },
    "appeal": {
        "pair": f"Which image is nicer to look at? {HIDES}",
        "best": f"Which image is the nicest to look at? {HIDES}",
        "rank": f"Put the images in order, the nicest to look at first. {HIDES}",
    },
    "alignment": {
        "pair": "Which image fits the prompt better?",
        "best": "Which image fits the prompt best?",
        "rank": "Put the images in order, the one that fits the prompt best first.",
    },
    FLAGS: {"flag": "What is wrong with these images?"},
}

CONSENT = (
    "You will see images that were made by computer programs, and be asked about them. Your answers are kept with the "
    "time they took and the name that you choose; nothing else about you is stored. You can stop at any time."
)
WELCOME = "You can take part in this study. You will need the passphrase that came with the link."
BY_INVITATION = "This study is by invitation: open the whole link that you were given."
NO_SUCH_LINK = "This link is not known: open the whole link that you were given."
NOT_YET = "The first round is not open yet; this page goes on by itself."
NOT_JOINED = "You have not joined on this device, or long ago; open the link that you were given again."
STALE = "The page was open for too long, or your browser keeps no cookies: allow them here and send it again."
DISAGREE = "Tick the box to agree; without it you cannot take part."
WRONG_PASSPHRASE = "The passphrase is wrong; ask whoever gave you the link."
FULL = "The study is full: nobody else can join by this link. Thank you for coming."
TOO_LARGE = "This is too much at once; send less."
NOT_UNDERSTOOD = "This was not understood; load the page again."
NO_PAGE = "There is no such page; open the link that you were given."
BUSY = "The study cannot be reached at this moment; try again in a few seconds."
BROKEN = "Something went wrong here, which is not your fault; try again, or tell whoever gave you the link."
NO_IMAGE = "There is no such image."
ADMIN_CLOSED = "Open the whole admin link that was printed when the server started; after that, load this page again."


def question(name: str, kind: Kind) -> str:
    """What is asked of a task of ``kind`` under the ``name`` that the design has for it."""
    return _QUESTIONS[name][kind]


def hidden(name: str) -> bool:
    """Whether the prompt stays hidden until this question is answered."""
    return name in HIDDEN


def paragraphs(consent: str) -> list[str]:
    """What a person agrees to, `CONSENT` where the plan says nothing."""
    return [line for line in (consent.strip() or CONSENT).splitlines() if line.strip()]


def slow_down(seconds: int) -> str:
    """What somebody reads who asks too often."""
    return f"This was too often; wait for {seconds} seconds and try again."
