"""The page behind a signed link, as HTML: an incident, and forms to answer it. No scripts; nothing is loaded from
anywhere. Everything that comes from alerts or people is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from alerting.answer.links import Permits
from alerting.track.commands import holds_repeats
from alerting.track.describe import describe, labels_text, moment
from alerting.track.events import AnyEvent
from alerting.track.model import ENDED, Incident

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:1.5rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
h1{font-size:1.3rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#595959}
dd{margin:0;overflow-wrap:anywhere}
form{border:1px solid #b5b5b5;border-radius:.4rem;padding:.8rem;margin:.8rem 0}
label{display:block;margin:.3rem 0}input,select,textarea{font:inherit;max-width:100%;box-sizing:border-box}
textarea{width:100%}button{font:inherit;padding:.4rem 1rem;margin-top:.4rem}
ol{padding-left:1.2rem}li{overflow-wrap:anywhere;margin:.2rem 0}time{color:#595959}
.done{background:#e3f4e3;padding:.5rem .8rem}.wrong{background:#fbe3e3;padding:.5rem .8rem}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#1b1b1b}dt,time{color:#ababab}
.done{background:#234023}.wrong{background:#4a2323}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the permission
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_MOST_ALERTS = 20
_MOST_EVENTS = 50
_LENGTHS = ("30m", "1h", "2h", "4h", "8h", "24h")
DONE = {
    "acknowledge": "You have it now.",
    "snooze": "It sleeps.",
    "comment": "Your comment is on the timeline.",
}
"""What can be done here, and what is said when it was."""


def incident_page(
    incident: Incident, events: Sequence[AnyEvent], permits: Permits, now_ns: int, *, done: str = "", wrong: str = ""
) -> str:
    notice = f'<p class="done">{escape(DONE[done])}</p>' if done in DONE else ""
    notice += f'<p class="wrong">{escape(wrong)}</p>' if wrong else ""
    body = [
        f"<h1>{escape(incident.title)}</h1>",
        notice,
        _facts(incident, now_ns),
        *(_form(incident, action) for action in actions(incident, permits)),
        _alerts(incident),
        _timeline(events),
    ]
    return _page(incident.title, body)


def refusal_page(problem: str) -> str:
    return _page("Link", [f'<p class="wrong">{escape(problem)}</p>'])


def actions(incident: Incident, permits: Permits) -> tuple[str, ...]:
    """What the link permits and the incident's state allows."""
    permitted = tuple(DONE) if permits is Permits.ANSWER else (permits.value,)
    open_only = ("acknowledge", "snooze")
    return tuple(action for action in permitted if incident.state not in ENDED or action not in open_only)


def _page(title: str, body: Iterable[str]) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, body))
        + "\n</body></html>\n"
    )


def _facts(incident: Incident, now_ns: int) -> str:
    held = holds_repeats(incident, now_ns)
    rows = [
        ("State", incident.state.value),
        ("Incident", incident.id),
        ("Opened", moment(incident.opened_ns)),
        ("Ended", moment(incident.ended_ns) if incident.ended_ns else ""),
        ("Alerts", f"{len(incident.firing)} fire, of {len(incident.alerts)}"),
        ("Held", held),
        ("Assigned to", incident.assignee),
    ]
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f"<dl>{inner}</dl>"


def _form(incident: Incident, action: str) -> str:
    fields = '<label>Your name <input name="by" required maxlength="100" autocomplete="name"></label>'
    if action == "comment":
        fields += '<label>Comment <textarea name="text" rows="3" required maxlength="10000"></textarea></label>'
    else:
        options = "".join(f"<option{' selected' if one == '2h' else ''}>{one}</option>" for one in _LENGTHS)
        fields += f'<label>For <select name="for">{options}</select></label>'
    verb = action.capitalize()
    # Without an action of its own it goes to this page's address: nothing of the token stands in the document.
    return f'<form method="post"><input type="hidden" name="do" value="{action}">{fields}<button>{verb}</button></form>'


def _alerts(incident: Incident) -> str:
    fire_first = sorted(incident.alerts.values(), key=lambda alert: (alert.ended_ns > 0, alert.joined_ns))
    rows = []
    for alert in fire_first[:_MOST_ALERTS]:
        summary = dict(alert.annotations).get("summary", "")
        state = "ended" if alert.ended_ns else "fires"
        rows.append(f"<li>{state}: {escape(labels_text(alert.labels))} {escape(summary)}</li>")
    more = len(incident.alerts) - _MOST_ALERTS
    return f"<h2>Alerts</h2><ul>{''.join(rows)}</ul>" + (f"<p>{more} more</p>" if more > 0 else "")


def _timeline(events: Sequence[AnyEvent]) -> str:
    newest = list(reversed(events))[:_MOST_EVENTS]
    rows = [
        f"<li><time>{escape(moment(event.at_ns))}</time> {escape(event.by)}: {escape(describe(event))}</li>"
        for event in newest
    ]
    return f"<h2>Timeline</h2><ol reversed>{''.join(rows)}</ol>"
