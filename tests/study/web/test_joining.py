"""Coming in by an invitation and by the open link, going on elsewhere, and every mistake on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.web.apps import another, client, current, form, invited, study
from tastemaker.study import raters
from tastemaker.study import series as series_module
from tastemaker.study.series import open_series
from tastemaker.study.web import texts

PASSPHRASE = "green herons"
FILLED = {"name": "Ada", "passphrase": PASSPHRASE, "agree": "yes"}


def test_an_invitation_leads_to_the_tasks(tmp_path: Path) -> None:
    series = study(tmp_path / "s", consent="You see squares.\n\nYou can stop.")
    browser, token = client(series), raters.invite(current(series))
    page = browser.get(f"/join/{token}")
    assert page.status_code == 200
    assert "A study of squares" in page.text
    assert "<p>You see squares.</p>\n<p>You can stop.</p>" in page.text
    assert "passphrase" not in page.text
    assert browser.get("/task").headers["location"] == "/"
    answer = browser.post(f"/join/{token}", data=form(page.text, name=" Ada  Lovelace ", agree="yes"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/task")
    assert raters.names(current(series)) == {series.joined(token).rater: "Ada Lovelace"}  # type: ignore[union-attr]
    assert browser.get("/task").status_code == 200
    assert browser.get("/").headers["location"] == "/task"


def test_consent_has_words_where_the_plan_has_none(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    assert texts.CONSENT in client(series).get(f"/join/{raters.invite(current(series))}").text


def test_the_same_link_goes_on_on_another_device_but_not_by_a_look_at_it(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser, token = client(series), raters.invite(current(series))
    browser.post(f"/join/{token}", data=form(browser.get(f"/join/{token}").text, name="Ada", agree="yes"))
    phone = another(browser)
    page = phone.get(f"/join/{token}")
    assert "Go on as Ada" in page.text
    assert "rater" not in phone.cookies
    assert phone.get("/api/task").status_code == 401
    assert phone.post(f"/join/{token}", data=form(page.text)).headers["location"] == "/task"
    assert phone.get("/api/task").json()["token"] == browser.get("/api/task").json()["token"]
    assert list(raters.names(current(series)).values()) == ["Ada"]


def test_the_open_link_takes_in_who_knows_the_passphrase(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series, passphrase=PASSPHRASE)
    assert 'href="/join"' in browser.get("/").text
    page = browser.get("/join")
    filled = form(page.text, **FILLED | {"passphrase": f" {PASSPHRASE} "})
    assert browser.post("/join", data=filled).headers["location"] == "/task"
    mine = browser.get("/me").text
    link = mine.partition('value="http://127.0.0.1:8000')[2].partition('"')[0]
    phone = another(browser)
    assert "Go on as Ada" in phone.get(link).text
    assert "Go on as Ada" in browser.get("/join").text
    assert 'href="/me"' in browser.get("/task").text


def test_by_invitation_there_is_no_open_link(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser = client(series)
    assert texts.BY_INVITATION in browser.get("/").text
    assert browser.get("/join").status_code == 404
    token = form(browser.get(f"/join/{raters.invite(current(series))}").text)
    for passphrase in ("", "guess"):
        assert browser.post("/join", data=token | FILLED | {"passphrase": passphrase}).status_code == 404
    assert 'href="/me"' not in invited(browser, series).get("/task").text


@pytest.mark.parametrize(
    ("wrong", "status", "line"),
    [
        ({"passphrase": "red herons"}, 403, texts.WRONG_PASSPHRASE),
        ({"passphrase": ""}, 403, texts.WRONG_PASSPHRASE),
        ({"passphrase": "grüne Reiher"}, 403, texts.WRONG_PASSPHRASE),
        ({"agree": ""}, 400, texts.DISAGREE),
        ({"name": "  "}, 400, "name: has 0 letters; choose a name of 1 to 60"),
        ({"name": "a" * 61}, 400, "name: has 61 letters; choose a name of 1 to 60"),
        ({"csrf": ""}, 403, texts.STALE),
        ({"csrf": "0" * 64}, 403, texts.STALE),
    ],
)
def test_a_mistake_shows_the_form_again_and_takes_in_nobody(
    wrong: dict[str, str], status: int, line: str, tmp_path: Path
) -> None:
    series = study(tmp_path / "s")
    browser = client(series, passphrase=PASSPHRASE)
    filled = form(browser.get("/join").text, **FILLED)
    answer = browser.post("/join", data=filled | wrong)
    assert answer.status_code == status
    assert line in answer.text
    assert PASSPHRASE not in answer.text
    assert raters.count(current(series)) == 0
    assert "rater" not in browser.cookies
    again = form(answer.text, **FILLED)
    assert browser.post("/join", data=again).status_code == 303  # the form that came back works


def test_an_invitation_needs_consent_and_a_name(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser, token = client(series), raters.invite(current(series))
    filled = form(browser.get(f"/join/{token}").text)
    for fields, line in [({"name": "Ada"}, texts.DISAGREE), ({"agree": "yes"}, "name: has 0 letters")]:
        answer = browser.post(f"/join/{token}", data=filled | fields)
        assert answer.status_code == 400
        assert line in answer.text
    assert raters.names(current(series)) == {}


def test_a_form_opened_before_joining_in_another_tab_still_works(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    browser, other = client(series), raters.invite(current(series))
    waiting = form(browser.get(f"/join/{other}").text, name="Bo", agree="yes")
    invited(browser, series)
    assert browser.post(f"/join/{other}", data=waiting).status_code == 303
    assert [*raters.names(current(series)).values()] == ["Ada", "Bo"]


@pytest.mark.parametrize("token", ["guess", "x" * 500, "%00", "%2e%2e", "%2e%2e%2fadmin", "é"])
def test_an_unknown_link_is_not_found(token: str, tmp_path: Path) -> None:
    browser = client(study(tmp_path / "s"))
    answer = browser.get(f"/join/{token}")
    assert answer.status_code == 404
    assert "open the" in answer.text
    assert browser.post(f"/join/{token}", data={"name": "Ada", "agree": "yes"}).status_code in (404, 405)


def test_the_open_link_closes_when_the_study_is_full(tmp_path: Path) -> None:
    """Ten people post at the same time for the two places that are left."""
    series = study(tmp_path / "s")
    browser = client(series, passphrase=PASSPHRASE, max_raters=3)
    invited(another(browser), series, "Zoe")
    people = [another(browser) for _ in range(10)]
    forms = [form(person.get("/join").text, **FILLED) for person in people]
    with ThreadPoolExecutor(10) as pool:
        answers = [*pool.map(lambda person, data: person.post("/join", data=data), people, forms)]
    assert sorted(answer.status_code for answer in answers) == [303] * 2 + [403] * 8
    assert sum(texts.FULL in answer.text for answer in answers) == 8
    assert raters.count(current(series)) == 3
    assert invited(another(browser), series, "Yan").get("/task").status_code == 200  # an invitation is a place


def test_control_characters_are_no_part_of_a_name(tmp_path: Path) -> None:
    series = study(tmp_path / "s")
    invited(client(series), series, "A\x00d\u202ea\n")
    assert [*raters.names(current(series)).values()] == ["Ada"]


def test_before_the_first_round_people_are_asked_to_wait(tmp_path: Path) -> None:
    (tmp_path / series_module.RUN).write_text("{}")
    series = open_series(tmp_path)
    browser = client(series, passphrase=PASSPHRASE)
    answer = browser.get("/join")
    assert answer.status_code == 503
    assert texts.NOT_YET in answer.text
    assert answer.headers["Refresh"] == answer.headers["Retry-After"] == "10"
    assert "Refresh" not in browser.get("/nowhere").headers
    assert browser.get("/").status_code == 200
    assert browser.get("/join/guess").status_code == 404
    assert browser.get("/api/task").status_code == 401


def test_a_link_goes_on_in_the_next_round(tmp_path: Path) -> None:
    (tmp_path / series_module.RUN).write_text("{}")
    study(tmp_path / "rounds/round-000" / series_module.ROUND, title="Round one").close()
    series = open_series(tmp_path)
    browser = invited(client(series), series)
    first = browser.get("/api/task").json()
    study(tmp_path / "rounds/round-001" / series_module.ROUND, title="Round two").close()
    assert "Round two" in browser.get("/task").text
    second = browser.get("/api/task").json()
    assert second["token"] != first["token"]
    assert browser.get(second["images"][0]).status_code == 200
    assert browser.get(first["images"][0]).status_code == 404
