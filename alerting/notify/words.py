"""The words of our own messages, in each language that they are written in."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    ALERTMANAGER = "alertmanager"  # its own words, and no more
    ENGLISH = "en"
    CHINESE = "zh"


WORDS: dict[Language, dict[str, str]] = {
    Language.ENGLISH: {
        "firing": "FIRING",
        "resolved": "RESOLVED",
        "value": "Value",
        "threshold": "threshold",
        "since": "Since",
        "until": "Resolved after",
        "labels": "Labels",
        "lines": "Last matching lines",
        "runbook": "Runbook",
        "dashboard": "Dashboard",
        "source": "Expression",
        "all": "All alerts",
        "undelivered": "This message did not reach",
        "error": "Error",
    },
    Language.CHINESE: {
        "firing": "告警",
        "resolved": "恢复",
        "value": "当前值",
        "threshold": "阈值",
        "since": "开始时间",
        "until": "持续时间",
        "labels": "标签",
        "lines": "最近匹配的日志",
        "runbook": "处理手册",
        "dashboard": "仪表盘",
        "source": "表达式",
        "all": "全部告警",
        "undelivered": "此消息未能送达",
        "error": "错误",
    },
}
WORDS[Language.ALERTMANAGER] = WORDS[Language.ENGLISH]
