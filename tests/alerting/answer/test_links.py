"""Signed links: what they permit, that following one changes nothing, that altered and expired ones are refused; the
page with whatever stands in labels and comments."""

from __future__ import annotations

import base64
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from alerting.answer.links import BadLink, ExpiredLink, Link, Permits, Signer, load_signer
from alerting.track.commands import Comment
from deckwatch.runtime.faults import Unusable
from tests.alerting.answer.desk import Desk, served
from tests.alerting.track.timelines import S, T, alert

LINK = Link(Permits.ANSWER, "default", "3hrqx0008dpdn5", T // S + 3600)
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'"


def signer(*keys: str) -> Signer:
    return Signer(tuple(key.encode() * 8 for key in keys or ("abcd",)))


def test_a_token_says_what_was_signed() -> None:
    token = signer().sign(LINK)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert signer().read(token, T) == LINK
    assert signer("new1", "abcd").read(token, T) == LINK  # the key of before is still taken


def test_no_character_of_it_can_be_another() -> None:
    token = signer().sign(LINK)
    for place, char in enumerate(token):
        other = "B" if char == "A" else "A"
        for altered in (token[:place] + other + token[place + 1 :], token[:place], token[:place] + token[place + 1 :]):
            with pytest.raises(BadLink):
                signer().read(altered, T)


@pytest.mark.parametrize("token", ["", "A", "x" * 5000, "%%%", "ä", "AAAA" * 8, signer("xxxx").sign(LINK)])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(BadLink):
        signer().read(token, T)


def test_another_payload_under_the_same_mac_is_refused() -> None:
    raw = base64.urlsafe_b64decode(signer().sign(LINK) + "==")
    longer = raw.replace((T // S + 3600).to_bytes(4), (T // S + 999_999).to_bytes(4))
    assert longer != raw
    with pytest.raises(BadLink):
        signer().read(base64.urlsafe_b64encode(longer).decode().rstrip("="), T)


def test_expiry() -> None:
    token = signer().sign(LINK)
    signer().read(token, T + 3599 * S)
    with pytest.raises(ExpiredLink, match="deckwatch ack"):
        signer().read(token, T + 3600 * S)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    token = load_signer("", tmp_path).sign(LINK)
    assert load_signer("", tmp_path).read(token, T) == LINK
    assert stat.S_IMODE((tmp_path / "link.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(("content", "problem"), [(None, "No such file"), ("short", "32 characters"), ("", "32 char")])
def test_a_key_that_cant_be_used(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unusable, match=problem):
        load_signer(str(path), tmp_path)


# The page ---------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes.get(attribute) for name, attributes in self.tags if name == tag]


async def test_following_a_link_changes_nothing_its_form_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id)
        changes = desk.database._connection.total_changes
        previews = ["Slackbot-LinkExpanding 1.0", "TelegramBot (like TwitterBot)", "Mozilla/5.0"]
        for agent in previews:
            for method, query in (("GET", ""), ("HEAD", ""), ("GET", "?do=acknowledge&by=eve&for=2h&done=snooze")):
                async with anybody.request(method, link + query, headers={"User-Agent": agent}) as page:
                    assert page.status == 200
                    text = await page.text()
        assert desk.database._connection.total_changes == changes
        assert Elements(text).values("input", "value").count("acknowledge") == 1
        form = {"do": "acknowledge", "by": "Alice", "for": "2h"}
        async with anybody.post(link, data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            location = answer.headers["Location"]
        async with anybody.get(link.split("?")[0] + location) as page:
            assert "You have it now." in await page.text()
    now = desk.tracker.get("default", incident.id)
    assert now.acknowledgement is not None
    assert (now.acknowledgement.owner, now.acknowledgement.until_ns) == ("Alice", T + 7200 * S)
    assert desk.tracker.store.timeline(incident.id)[-1].by == "Alice (by link)"


async def test_snooze_and_comment(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id)
        async with anybody.post(link, data={"do": "comment", "by": "Bob", "text": HOSTILE}) as page:
            text = await page.text()
        async with anybody.post(link, data={"do": "snooze", "by": "Bob", "for": "30m"}) as page:
            assert "It sleeps." in await page.text()
    assert "<script" not in text
    assert desk.said(incident.id)[-2:] == [f"commented: {HOSTILE}", "snoozed until 2023-11-14T22:43:20Z"]


async def test_it_needs_no_token_of_the_api_and_gives_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    async with served(desk) as (url, session), aiohttp.ClientSession() as anybody:
        async with session.get(f"{url}/api/v1/incidents/{incident.id}/link", params={"permits": "comment"}) as answer:
            path = (await answer.json())["url"]
        async with anybody.get(url + path) as page:
            assert page.status == 200
        for other, status in (
            (f"/api/v1/incidents/{incident.id}", 401),
            (f"/links/../api/v1/incidents/{incident.id}", 401),  # by the route that is found, not by the path
            ("/links/nothing", 401),
            (f"/links/incident/..%2f..%2fapi/v1/incidents/{incident.id}", 401),
            (f"//api/v1/incidents/{incident.id}", 401),
        ):
            async with anybody.get(URL(url + other, encoded=True)) as refused:
                assert refused.status == status, other
                assert incident.title not in await refused.text()


@pytest.mark.parametrize(
    ("permits", "form", "status", "problem"),
    [
        (Permits.COMMENT, {"do": "acknowledge", "by": "E", "for": "1h"}, 409, "can&#x27;t be used for that"),
        (Permits.SNOOZE, {"do": "comment", "by": "E", "text": "x"}, 409, "can&#x27;t be used for that"),
        (Permits.ANSWER, {"do": "review", "by": "E", "text": "x"}, 409, "can&#x27;t be used for that"),
        (Permits.ANSWER, {}, 409, "can&#x27;t be used for that"),
        (Permits.ANSWER, {"do": "comment", "by": " \t", "text": "x"}, 400, "your name is missing"),
        (Permits.ANSWER, {"do": "comment", "by": "E", "text": " "}, 400, "the comment is empty"),
        (Permits.ANSWER, {"do": "snooze", "by": "E", "for": "99d"}, 400, "give a time up to 168h"),
        (Permits.ANSWER, {"do": "snooze", "by": "E", "for": "soon"}, 400, "is not a duration"),
        (Permits.ANSWER, {"do": "acknowledge", "by": "E"}, 400, "for how long"),
    ],
)
async def test_what_a_form_may_not(
    tmp_path: Path, permits: Permits, form: dict[str, str], status: int, problem: str
) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id, permits)
        async with anybody.post(link, data=form, allow_redirects=False) as answer:
            assert (answer.status, problem in await answer.text()) == (status, True)
    assert len(desk.said(incident.id)) == 2


async def test_altered_expired_and_foreign_links_are_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    links = desk.incidents.links
    good = links.incident_url("default", incident.id)
    gone = links.incident_url("default", "3hrqx0008dpdn5")
    foreign = links.incident_url("other", incident.id)
    calendar = links.calendar_url("default", "web").replace("calendar", "incident").removesuffix(".ics")
    altered = good[:-5] + ("A" if good[-5] != "A" else "B") + good[-4:]
    form = {"do": "acknowledge", "by": "Eve", "for": "2h"}
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:

        async def status(path: str) -> tuple[int, int]:
            async with anybody.get(url + path) as page, anybody.post(url + path, data=form) as answer:
                assert "script" not in page.headers["Content-Security-Policy"]
                return page.status, answer.status

        assert await status(altered) == (403, 403)
        assert await status(gone) == (404, 404)
        assert await status(foreign) == (404, 404)
        assert await status(calendar) == (403, 403)
        await desk.clock.advance(86_400)
        assert await status(good) == (410, 410)
        async with anybody.get(url + good.replace("incident", "calendar") + ".ics") as answer:
            assert answer.status == 410
    assert len(desk.said(incident.id)) == 2


async def test_a_form_of_another_kind_or_size_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id)
        async with anybody.post(link, json={"do": "acknowledge", "by": "E", "for": "1h"}) as answer:
            assert answer.status == 403
        async with anybody.post(link, data={"do": "comment", "by": "E", "text": "x" * 70_000}) as answer:
            assert answer.status == 403
        for charset, body in (("no-such", b"do=comment&by=E&text=x"), ("utf-8", b"do=comment&by=E&text=\xff")):
            headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
            async with anybody.post(link, data=body, headers=headers) as answer:
                assert answer.status == 403
    assert len(desk.said(incident.id)) == 2


async def test_the_page_is_plain_and_nothing_from_outside_is_markup(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(name=HOSTILE, instance=HOSTILE))
    desk.tracker.do("default", incident.id, Comment(by=HOSTILE, text=HOSTILE), T)
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id)
        async with anybody.get(link, params={"done": HOSTILE}) as page:
            text, headers = await page.text(), page.headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    found = Elements(text)
    assert {tag for tag, _ in found.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "dl", "dt", "dd", "form", "label", "input"),
        *("select", "option", "textarea", "button", "ul", "ol", "li", "time", "p"),
    }
    assert not any(
        name.startswith("on") or name in ("src", "href") for _, attributes in found.tags for name in attributes
    )
    assert found.values("form", "method") == ["post"] * 3
    assert urlsplit(link).path.rsplit("/", 1)[1] not in text  # a saved page gives nobody the permission


async def test_of_an_incident_that_is_over_only_a_comment_is_offered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incident = desk.observe(alert(instance="a"))
    desk.observe(alert(0, instance="a"))
    async with served(desk) as (url, _), aiohttp.ClientSession() as anybody:
        link = url + desk.incidents.links.incident_url("default", incident.id)
        async with anybody.get(link) as page:
            assert Elements(await page.text()).values("button", "type") == [None]
        async with anybody.post(link, data={"do": "acknowledge", "by": "E", "for": "1h"}) as answer:
            assert answer.status == 409
