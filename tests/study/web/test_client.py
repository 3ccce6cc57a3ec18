"""The client against a real server: what a person does, what is refused, and connections that break."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from study.web.coloured import QUESTIONS, SIZE, colour_of, judge, study
from study.web.process import Server, free_port, invited, opened, running
from study.web.rough import Rough
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.study import votes
from tastemaker.study.client import FIRST_PAUSE, LONGEST_PAUSE, Client, Refused, pauses, read_page
from tastemaker.study.design import Plan
from tastemaker.study.simulated import Honest, answer_all

PROMPTS = 3
PASSPHRASE = "open sesame"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A study that has room for everybody here."""
    folder = tmp_path_factory.mktemp("client")
    plan = Plan(title="t", questions=QUESTIONS, raters_per_item=9)
    study(folder, plan, PROMPTS, dict.fromkeys(QUESTIONS, 1.0))
    with running(folder / "study", passphrase=PASSPHRASE, logins=60) as started:
        yield started


def guest(server: Server, name: str = "Ada") -> Client:
    client = Client(server.url)
    client.join("/join", name, PASSPHRASE)
    return client


def test_a_task_is_what_the_page_shows(server: Server) -> None:
    client = guest(server)
    view = client.task()
    assert (view.state, view.kind, view.prompt, view.can_undo) == ("task", "pair", None, False)
    assert (view.progress.done, view.progress.of) == (0, PROMPTS)
    assert (view.open[0].name, view.open[0].hidden) == ("appeal", True)
    images = [client.image(address) for address in view.images]
    assert [Image.open(io.BytesIO(image)).size for image in images] == [(SIZE, SIZE)] * 2
    assert colour_of(images[0]) != colour_of(images[1])
    following = client.vote(view.token, {"appeal": 1}, 2.0)
    assert (following.token, dict(following.answered)) == (view.token, {"appeal": 1})
    assert str(following.prompt).startswith("prompt ")
    assert {question.name for question in following.open} == {"preference", "alignment"}


def test_undo_and_skip(server: Server) -> None:
    client = guest(server)
    first = client.task()
    second = client.vote(first.token, dict.fromkeys(QUESTIONS, 0), 1.0)
    assert second.token != first.token
    assert second.can_undo
    assert client.undo("k").token == client.undo("k").token == first.token
    third = client.skip(first.token)
    assert third.token == second.token
    with pytest.raises(Refused, match=r"refused \(400\): this task was skipped; go on with the next one") as caught:
        client.vote(first.token, {"appeal": 0}, 1.0)
    assert caught.value.status == 400


def test_everything_is_answered_as_the_judge_has_it(server: Server) -> None:
    """The tuned model's images have more of every colour."""
    sent = answer_all(guest(server), Honest(), judge, ("Ada",))
    assert len(sent) == PROMPTS * len(QUESTIONS)
    for vote in sent:
        left, right = map(colour_of, vote.images)
        assert vote.answer == int(right > left)
    assert {vote.question for vote in sent if vote.prompt is None} == {"appeal"}


def test_the_token_for_posts_is_that_of_the_page_after_joining(server: Server) -> None:
    """A browser that was closed in between has forgotten the visitor it was before."""
    client = guest(server)
    client._http.cookies.delete("visitor")
    view = client.task()
    assert dict(client.vote(view.token, {"appeal": 0}, 1.0).answered) == {"appeal": 0}


def test_a_person_comes_back_by_the_personal_link(server: Server) -> None:
    (link,) = invited(server.folder, 1)
    one, two = Client(server.url), Client(server.url)
    one.join(link, "Bea")
    view = one.task()
    one.vote(view.token, {"appeal": 0}, 1.0)
    two.join(f"{server.url}{link}", "whatever")
    assert (two.task().token, dict(two.task().answered)) == (view.token, {"appeal": 0})


@pytest.mark.parametrize(
    ("link", "name", "passphrase", "message"),
    [
        ("/join/guess", "Ada", "", r"refused \(404\): .*open the whole link"),
        ("/join", "Ada", "wrong", r"refused \(403\): .*[Pp]assphrase"),
        ("/join", "  ", PASSPHRASE, r"refused \(400\): name: "),
    ],
)
def test_what_is_refused_is_said_in_one_line(
    server: Server, link: str, name: str, passphrase: str, message: str
) -> None:
    with pytest.raises(Refused, match=message) as caught:
        Client(server.url).join(link, name, passphrase)
    assert "\n" not in str(caught.value)


def test_who_has_not_joined_is_sent_away(server: Server) -> None:
    with pytest.raises(Refused, match=r"refused \(401\)"):
        Client(server.url).task()


def test_lost_replies_and_doubled_posts_leave_one_vote_each(server: Server) -> None:
    (link,) = invited(server.folder, 1)
    way = Rough(draw.numbers("client"), drops=0.4)
    client = Client(server.url, transport=way)
    client.join(link, "Cy")
    sent = answer_all(client, Honest(), judge, ("Cy",))
    client.close()
    assert way.dropped > 3
    assert len(way.acknowledged) > len(sent) == PROMPTS * len(QUESTIONS)
    with opened(server.folder) as store:
        times = [vote.seconds for vote in votes.every(store)]
    assert all(times.count(vote.seconds) == 1 for vote in sent)


def test_a_server_that_is_not_there_is_said_after_a_while() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(UserError, match=rf"{url}: gave no answer for 0.3 s \(ConnectError.*\); see that the server"):
        Client(url, patience=0.3).task()
    assert time.monotonic() - started < 5


@pytest.mark.slow
def test_a_busy_server_is_asked_again_when_it_says(tmp_path: Path) -> None:
    """One attempt to join a minute and address: the second person is told to wait for longer than they have."""
    study(tmp_path, Plan(title="t", questions=QUESTIONS), PROMPTS, dict.fromkeys(QUESTIONS, 1.0))
    links = invited(tmp_path / "study", 2)
    with running(tmp_path / "study", logins=1) as server:
        Client(server.url).join(links[0], "Ada")
        started = time.monotonic()
        with pytest.raises(UserError, match=r"gave no answer for 3 s \(status 429\)"):
            Client(server.url, patience=3).join(links[1], "Bea")
        assert time.monotonic() - started < 2.5  # a wait that would be in vain is not begun


def test_pauses_grow_to_their_limit() -> None:
    found = [pause for pause, _ in zip(pauses(), range(12), strict=False)]
    assert found[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert found[-1] == max(found) == LONGEST_PAUSE


def test_a_page_is_read_by_what_it_means() -> None:
    page = read_page(
        '<meta content="abc" name="csrf-token"><p role="alert">name:\n has 0 <b>letters</b></p><p>more</p>'
        '<p role="alert">&amp; on</p>'
    )
    assert (page.csrf, " ".join(page.alert.split())) == ("abc", "name: has 0 letters& on")
    assert read_page("<p>no <b>end").alert == ""
