"""The pages behind the secret: who gets in, what stands there, and what the buttons do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from study.web.apps import MODELS, SECRET, another, client, current, form, invited, of, png, source, study, token, vote
from tastemaker.study import assign, overview, raters, votes
from tastemaker.study import series as series_module
from tastemaker.study.assign import Given
from tastemaker.study.build import create
from tastemaker.study.db import Store, set_state, state_of
from tastemaker.study.design import Plan
from tastemaker.study.series import Series, open_series
from tastemaker.study.web import admin, people, texts


def admitted(browser: TestClient) -> TestClient:
    """The browser of whoever runs the study."""
    here = another(browser)
    answer = here.get("/admin", params={"secret": SECRET})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    return here


def press(here: TestClient, path: str, page: str = "", **fields: str) -> Any:
    return here.post(path, data=form(page or here.get("/admin").text, **{"round": "0"} | fields))


@pytest.mark.parametrize("secret", ["", "guess", SECRET + " ", "é", None])
def test_a_wrong_secret_opens_nothing(secret: str | None, tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    stranger = client(series)
    answer = stranger.get("/admin", params={} if secret is None else {"secret": secret})
    assert answer.status_code == 403
    assert texts.ADMIN_CLOSED in answer.text
    assert not stranger.cookies
    for value in ("", SECRET, admin.key(""), admin.key("guess")):
        stranger.cookies.set("admin", value)
        for path in ("/admin", "/admin/agreement", "/admin/round/0/grid.png"):
            assert stranger.get(path).status_code == 403
        for path in ("/admin/state", "/admin/invite"):
            assert stranger.post(path, data={"state": "closed", "count": "5", "round": "0"}).status_code == 403
    assert state_of(current(series)) == "open"


def test_without_a_secret_nobody_gets_in(tmp_path: Path) -> None:
    stranger = client(study(tmp_path / "s"), admin_secret="")
    assert stranger.get("/admin", params={"secret": ""}).status_code == 403
    stranger.cookies.set("admin", admin.key(""))
    assert stranger.get("/admin").status_code == 403


def test_a_rater_is_no_admin(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    assert invited(client(series), series).get("/admin").status_code == 403


def test_buttons_pause_resume_and_close(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    here, store = admitted(client(series)), current(series)
    for state, label in (("paused", "Resume"), ("open", "Pause"), ("closed", "Resume"), ("open", "Close")):
        answer = press(here, "/admin/state", state=state)
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
        assert state_of(store) == state
        page = here.get("/admin").text
        assert f"The study is {state}" in page
        assert f">{label}</button>" in page


@pytest.mark.parametrize("fields", [{"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}])
def test_buttons_need_the_token_of_the_page(fields: dict[str, str], tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series)
    here = admitted(browser)
    rater = token(invited(browser, series))["X-CSRF-Token"]
    for wrong in (fields, {"csrf": rater}):
        assert press(here, "/admin/state", state="closed", **wrong).status_code == 403
        assert press(here, "/admin/invite", count="2", **wrong).status_code == 403
    assert state_of(current(series)) == "open"
    assert raters.count(current(series)) == 1


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/admin/state", {"state": "gone"}),
        ("/admin/state", {}),
        ("/admin/invite", {"count": "0"}),
        ("/admin/invite", {"count": "201"}),
        ("/admin/invite", {"count": "many"}),
        ("/admin/state", {"state": "closed", "round": "1"}),
        ("/admin/state", {"state": "closed", "round": "-1"}),
    ],
)
def test_what_is_no_button_changes_nothing(path: str, fields: dict[str, str], tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    answer = press(admitted(client(series)), path, **fields)
    assert answer.status_code == 400
    assert state_of(current(series)) == "open"
    assert raters.count(current(series)) == 0


def test_invitation_links_work_once_each(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series, public_url="http://study.example.org")
    page = press(admitted(browser), "/admin/invite", count="3").text
    links = page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0].split()
    assert len(set(links)) == 3
    for number, link in enumerate(links):
        path = link.removeprefix("http://study.example.org")
        person = another(browser)
        data = form(person.get(path).text, name=f"n{number}", agree="yes")
        assert person.post(path, data=data).status_code == 303
    assert [*raters.names(current(series)).values()] == ["n0", "n1", "n2"]


def answered(folder: Path) -> tuple[Series, list[people.Person]]:
    """Three tasks, two of them asked again, and a gold item, done by Ada and Bo; and what the page should say of them.

    Ada always takes place 0, and the expected place 1 of the gold item. So does Bo, but place 1 of a task that is asked
    again (not of its repetition), and place 0 of the gold item. Their votes take 1, 2, …, n seconds, Bo's ten times
    that: the median is (n + 1)/2. Whose last task is one that is asked again is not asked it again, so n is 5 or 6.
    """
    gold = of([("a circle", [png("x"), png("y")])])
    gold = replace(gold, tasks=[replace(gold.tasks[0], gold=1)])
    create(folder, Plan(title="t", raters_per_item=2, repeats=2, gold=1), source(3), gold)
    series = open_series(folder)
    items = current(series).design.items
    again = next(item.repeats for item in items if item.repeats is not None)
    ada, bo = ({item.id: item.gold or 0 for item in items}, {item.id: int(item.id == again) for item in items})
    told = []
    for name, places, times in (("Ada", ada, 1), ("Bo", bo, 10)):
        done = [items[item] for item in answer_all(current(series), name, places, times)]
        checks = [item for item in done if not item.measured]
        missed = sum(item.gold is not None or item.repeats == again for item in checks) if name == "Bo" else 0
        told.append(people.Person(name, len(done), times * (len(done) + 1) / 2, len(checks), missed))
    return series, told


def answer_all(store: Store, name: str, places: dict[int, int], times: int) -> list[int]:
    """The items that were given to a new rater, who takes ``places``."""
    rater, done = raters.join(store, name, raters.invite(store), float(times)), []
    while isinstance(given := assign.next_task(store, rater, 100.0), Given):
        done.append(given.item.id)
        answer = {"preference": given.shown.index(places[given.item.id])}
        votes.take(store, rater, given.token, answer, times * len(done), str(len(done)), 100.0)
    return done


def test_raters_are_listed_with_their_checks(tmp_path: Path) -> None:
    series, (ada, bo) = answered(tmp_path / "s")
    assert people.people(current(series)) == [ada, bo]
    page = admitted(client(series)).get("/admin").text
    rows = re.findall(r"<tr><td>(.*)</td><td>(.*)</td>\n<td>(.*)</td>\n<td>(.*)</td></tr>", page)
    assert rows == [
        (each.name, str(each.tasks), f"{each.seconds}", f"{each.missed} of {each.checks}") for each in (ada, bo)
    ]
    assert '<td>3 of 3</td></tr>\n<tr><th scope="row">tasks settled' in page
    assert f">{ada.tasks + bo.tasks}</td>" in page  # answers
    assert bo.missed > ada.missed == 0


def test_agreement_is_shown_when_it_is_asked_for_and_who_wins_never(tmp_path: Path) -> None:
    """Units (0, 1), (0, 0) and (0, 0): raw agreement ⅔. o_00 = 4, o_01 = o_10 = 1, so n_0 = 5, n_1 = 1 and n = 6.

    D_o = 2/6 and D_e = 2·5·1/(6·5) = ⅓: α = 0.
    """
    series, _ = answered(tmp_path / "s")
    found = overview.agreed(current(series))
    assert [(each.question, each.units) for each in found] == [("preference", 3)]
    assert found[0].raw.startswith("0.667 (0.000 to 1.000)")
    assert found[0].alpha.startswith("0.000")
    here = admitted(client(series))
    plain, page = here.get("/admin").text, here.get("/admin/agreement").text
    assert found[0].raw not in plain
    assert f"<td>{found[0].raw}</td><td>{found[0].alpha}</td>" in page
    for text in (plain, page):
        assert not [model for model in MODELS if model in text]


def test_agreement_without_answers_says_so(tmp_path: Path) -> None:
    page = admitted(client(study(tmp_path / "s"))).get("/admin/agreement").text
    assert "There are no answers yet." in page
    assert "Nobody has joined yet." in page


def test_what_is_not_defined_is_a_dash(tmp_path: Path) -> None:
    """One rater alone agrees with nobody."""
    series = study(tmp_path / "s", 1)
    browser = invited(client(series), series)
    vote(browser, browser.get("/api/task").json())
    assert overview.agreed(current(series)) == [overview.Agreed("preference", 0, "–", "–")]
    page = admitted(browser).get("/admin/agreement").text
    assert "<td>preference</td><td>0</td><td>–</td><td>–</td>" in page
    assert "nan" not in page


def run_with_rounds(run: Path, rounds: int) -> Series:
    (run / "recipe.yaml").write_text("{}")
    for number in range(rounds):
        study(run / f"rounds/round-{number:03d}" / series_module.ROUND).close()
    (run / "rounds/round-000" / people.GRID).write_bytes(png("grid"))
    return open_series(run)


def test_rounds_stand_with_their_pictures(tmp_path: Path) -> None:
    series = run_with_rounds(tmp_path, 2)
    set_state(series.stores()[0], "closed")
    here = admitted(client(series))
    page = here.get("/admin").text
    assert "Round 1 is open" in page
    assert "<p>closed: 0 of 3 tasks settled, 0 answers of 0 raters</p>" in page
    assert "/admin/round/0/grid.png" in page
    assert "/admin/round/1/grid.png" not in page
    answer = here.get("/admin/round/0/grid.png")
    assert (answer.content, answer.headers["content-type"]) == (png("grid"), "image/png")
    for number in ("1", "2", "-1", "x", "..%2f..%2f"):
        assert here.get(f"/admin/round/{number}/grid.png").status_code in (400, 404)


def test_a_button_does_not_close_a_round_that_opened_meanwhile(tmp_path: Path) -> None:
    series = run_with_rounds(tmp_path, 1)
    here = admitted(client(series))
    page = here.get("/admin").text
    study(tmp_path / "rounds/round-001" / series_module.ROUND).close()
    answer = press(here, "/admin/state", page, state="closed")
    assert answer.status_code == 400
    assert "another round is open by now" in answer.text
    assert [state_of(store) for store in series.stores()] == ["open", "open"]
    assert press(here, "/admin/state", state="closed", round="1").status_code == 303
    assert [state_of(store) for store in series.stores()] == ["open", "closed"]


def test_a_closed_round_stays_closed(tmp_path: Path) -> None:
    series = run_with_rounds(tmp_path, 1)
    here = admitted(client(series))
    press(here, "/admin/state", state="closed")
    assert ">Resume</button>" not in here.get("/admin").text
    assert press(here, "/admin/state", state="open").status_code == 400
    assert state_of(current(series)) == "closed"


def test_before_the_first_round_the_page_says_so(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{}")
    here = admitted(client(open_series(tmp_path)))
    assert "The first round is not open yet." in here.get("/admin").text
    assert here.get("/admin/agreement").status_code == 200
